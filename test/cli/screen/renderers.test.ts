import { describe, expect, test } from "bun:test";
import { bar, clip, halfInterval } from "../../../src/cli/screen/lines.ts";
import { plotLines } from "../../../src/cli/screen/plot.ts";
import {
  sampleLines,
  sideBySideLines,
  spansOf,
  wrapSpans,
} from "../../../src/cli/screen/rollout.ts";
import { cells, colourStyle, count, duration, plainStyle } from "../../../src/cli/screen/style.ts";
import { tableLines } from "../../../src/cli/screen/table.ts";
import { Role } from "../../../src/types.ts";
import { evaluation, goodCall, sample, stepMetrics } from "../../helpers/run-records.ts";

const decode = (ids: readonly number[]): string => ids.map((id) => `w${id} `).join("");

describe("wrapping", () => {
  test.each([10, 17, 40])("to %i cells keeps every word and no line is wider", (width) => {
    const text = "one two threeandaverylongwordthatfitsnowhere\n\n  indented 日本語の長い文";
    const lines = wrapSpans([{ role: Role.policy, text }], width, plainStyle);
    for (const line of lines) expect(cells(line)).toBeLessThanOrEqual(width);
    expect(lines.join("").replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
  });

  test("paints each word in its writer's colour and leaves no blanks at line ends", () => {
    const spans = [
      { role: Role.policy, text: "ask me " },
      { role: Role.observation, text: "answer" },
    ];
    const lines = wrapSpans(spans, 7, colourStyle);
    expect(lines.map((line) => Bun.stripANSI(line))).toEqual(["ask me", "answer"]);
    expect(lines[0]).toBe("\x1b[36mask \x1b[0m\x1b[36mme\x1b[0m");
    expect(lines[1]).toBe("\x1b[33manswer\x1b[0m");
  });

  test("splits a rollout where the writer changes", () => {
    const { rollout } = sample("g", 0, { promptTokens: 2, calls: [goodCall] });
    const { prompt, policy, observation } = Role;
    expect(spansOf(rollout, decode, 0).map(({ role }) => role)).toEqual([
      prompt,
      policy,
      observation,
      policy,
    ]);
    expect(spansOf(rollout, decode, 2)[0]!.text).toBe("w62 w93 w124 w155 w186 ");
  });
});

describe("a sample", () => {
  test("of a long prompt shows its ends and says how much was left out", () => {
    const lines = sampleLines(sample("g", 0, { promptTokens: 1000 }), decode, 40, plainStyle);
    expect(lines.join("\n")).toMatch(/\.\.\. \d+ lines of the prompt \.\.\./);
    expect(lines.length).toBeLessThan(30);
    expect(lines[0]).toContain("# w0 w1");
    expect(lines.at(-1)).toBe("reward 0.80, ended by answer");
  });
});

describe("side by side", () => {
  const at = (stage: string, totals: readonly number[]) => ({
    evaluation: evaluation(stage, 0, 0),
    samples: totals.map((total, i) => ({
      rollout: sample(`task${i}`, 0, { calls: stage === "base" ? [] : [goodCall] }).rollout,
      reward: { total, components: {} },
    })),
  });

  test("shows the question that gained most, in columns of equal width", () => {
    const shown = { before: at("base", [0.2, 0, 1]), after: at("stage3", [1, 1, 1]) };
    const lines = sideBySideLines(shown, decode, 60, plainStyle);
    expect(lines.find((line) => line.includes("reward 0.00"))).toBeDefined();
    for (const line of lines.slice(1)) expect(line.indexOf("│")).toBe(29);
    for (const line of lines) expect(cells(line)).toBeLessThanOrEqual(60);
  });

  test("is left out when only one evaluation was made", () => {
    expect(
      sideBySideLines({ before: at("base", [0]), after: undefined }, decode, 60, plainStyle),
    ).toEqual([]);
  });
});

describe("the plot", () => {
  const steps = Array.from({ length: 60 }, (_, i) =>
    stepMetrics(i + 1, { em: i / 59, reward: 0.2 }),
  );

  test("puts the highest EM on the top line and the lowest on the bottom one", () => {
    const lines = plotLines(steps, [], { width: 80, height: 11 }, plainStyle);
    expect(lines[1]).toMatch(/^1\.0 ┤ +●+$/);
    expect(lines[11]).toMatch(/^0\.0 ┤●+/);
    expect(lines[9]).toMatch(/∘{20}/); // reward 0.2 of 11 lines: two above the lowest
  });

  test.each([1, 2, 30, 500])("of %i steps fits its size", (numSteps) => {
    const all = Array.from({ length: numSteps }, (_, i) => stepMetrics(i + 1));
    const lines = plotLines(
      all,
      [evaluation("stage1", 0, 1, { step: numSteps })],
      { width: 50, height: 7 },
      plainStyle,
    );
    expect(lines).toHaveLength(numSteps === 1 ? 0 : 10);
    for (const line of lines.slice(1)) expect(cells(line)).toBeLessThanOrEqual(50);
  });

  test("of a short run is stretched so that its stages can be named", () => {
    const short = [1, 2, 3, 4].map((step) =>
      stepMetrics(step, { stage: step < 3 ? "stage1" : "stage2", shots: step < 3 ? 3 : 0 }),
    );
    const lines = plotLines(short, [], { width: 80, height: 5 }, plainStyle);
    expect(lines.at(-1)).toMatch(/^ +stage1: 3 +stage2: 0$/);
  });

  test("leaves a figure that is not a number out", () => {
    const broken = [stepMetrics(1, { em: NaN, reward: NaN }), stepMetrics(2, { em: 1, reward: 1 })];
    const lines = plotLines(broken, [], { width: 40, height: 5 }, plainStyle).slice(1, 6);
    expect(lines.join("").match(/[●∘]+/g)).toEqual(["●".repeat(17)]);
  });
});

describe("the table", () => {
  const all = ["base", "stage1", "stage2", "stage3"].flatMap((stage, i) =>
    [0, 3].map((shots) => evaluation(stage, shots, i / 10 + shots / 100)),
  );

  test("has a row for each number of demonstrations and a column for each stage", () => {
    const lines = tableLines(all, 120, plainStyle);
    expect(lines[1]).toMatch(
      /^0 +0\.000 +0\.100 +0\.200 +0\.300 +0\.300 +0\.150 +0\.900 +1\.3 → 1\.3$/,
    );
    expect(lines[2]).toMatch(/^3 +0\.030 +0\.130/);
  });

  test("keeps only the first and the last stage where it is too wide", () => {
    const [title] = tableLines(all, 80, plainStyle);
    expect(title).toMatch(/EM base +EM stage3/);
    expect(title).not.toContain("stage1");
  });

  test("shows a dash where nothing was measured", () => {
    const lines = tableLines(
      [evaluation("base", 0, 0.5), evaluation("stage1", 3, 0.6)],
      120,
      plainStyle,
    );
    expect(lines[1]).toMatch(/^0 +0\.500 +- /);
  });
});

describe("figures", () => {
  test.each([
    [0, "0 s"],
    [59.4, "59 s"],
    [60, "1m00s"],
    [187, "3m07s"],
    [7500, "2h05m"],
  ])("%d seconds read %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  test.each([
    [950, "950"],
    [12345, "12.3k"],
    [4.5e6, "4.5M"],
  ])("%d reads %s", (value, text) => expect(count(value)).toBe(text));

  test("the interval of 100 right out of 200 is 0.07 to either side, of 0 not nothing", () => {
    expect(halfInterval(0.5, 200)).toBeCloseTo(0.0687, 3);
    expect(halfInterval(0, 200)).toBeGreaterThan(0.005);
  });

  test.each([0, 0.01, 0.5, 0.99, 1, 1.5])("a bar at %d is as wide as asked", (done) => {
    expect(cells(bar(done, 13, plainStyle))).toBe(13);
  });

  test("a clipped line says that it goes on", () => {
    expect(clip("short", 5)).toBe("short");
    expect(clip("longer", 5)).toBe("long…");
  });
});
