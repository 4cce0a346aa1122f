import { describe, expect, test } from "bun:test";
import { openScreen } from "../../../src/cli/screen/screen.ts";
import type { RunObserver, RunStart } from "../../../src/run/observer.ts";
import { evaluation, goodCall, sample, stepMetrics } from "../../helpers/run-records.ts";

const decode = (ids: readonly number[]): string => ids.map((id) => `word${id} `).join("");

const start: RunStart = {
  runName: "nano",
  runPath: "runs/nano",
  recipeName: "nano",
  policyText: "nano",
  deviceText: "cpu",
  seed: 7,
  stages: [
    { name: "stage1", shots: 3, steps: 2 },
    { name: "stage2", shots: 0, steps: 2 },
  ],
  evalShots: [0, 3],
  facts: ["16 prompts x 8 samples"],
  past: { steps: [], evaluations: [] },
};

interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly env?: Record<string, string>;
  readonly json?: boolean;
}

/** What a whole small run writes. */
function written(terminal: Terminal, play: (screen: RunObserver) => void = wholeRun): string {
  const { json = false, env = {}, ...stream } = terminal;
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  play(openScreen({ json, stream: { write, ...stream }, environment: env, decode }));
  return text;
}

function wholeRun(screen: RunObserver): void {
  screen.onStart?.(start);
  evaluate(screen, "base", 0, 0);
  for (const [index, stage] of start.stages.entries()) {
    screen.onStageStart?.(stage);
    for (const stageStep of [1, 2]) {
      const step = index * 2 + stageStep;
      screen.onStep?.(stepMetrics(step, { stage: stage.name, stageStep, shots: stage.shots }));
    }
    screen.onMessage?.({ level: "warning", text: "the gate waits" });
    evaluate(screen, stage.name, index * 2 + 2, 0.9);
  }
  screen.onEnd?.({ outcome: "finished", steps: 4, wallSeconds: 61 });
}

function evaluate(screen: RunObserver, stage: string, step: number, em: number): void {
  const samples = [sample("g", 0, { calls: em > 0 ? [goodCall, goodCall] : [] })];
  for (const shots of start.evalShots) {
    screen.onEvalStart?.({ stage, shots, numSamples: 200 });
    screen.onEval?.(evaluation(stage, shots, em, { step }), samples);
  }
}

const ESCAPE = "\x1b";
const UP = new RegExp(`^${ESCAPE}\\[(\\d+)A\\r${ESCAPE}\\[0J`);
const COLOUR = `${ESCAPE}[3`;

describe("output that is not a terminal", () => {
  test("tells the calls of several tools apart", () => {
    const callsByTool = { search: 0.86, python: 0.34 };
    const text = written({}, (screen) => {
      screen.onStart?.(start);
      screen.onStep?.(stepMetrics(1, { callsByTool }));
      screen.onEval?.(evaluation("base", 0, 0.5, { callsByTool }), []);
    });
    expect(text).toContain("calls 1.2 (search 0.9, python 0.3)");
    expect(text).toContain("calls 1.30 (search 0.86, python 0.34)");
    expect(written({})).toMatch(/calls 1\.2 {2}/);
  });
  test("has no control codes and one line a step", () => {
    const text = written({});
    expect(text).not.toContain(ESCAPE);
    expect(text).not.toContain("\r");
    expect(text.split("\n").filter((line) => line.startsWith("step "))).toHaveLength(4);
    expect(text).toMatch(/^step 3 {2}stage2 \(0 shots\) {2}reward 0\.50 {2}EM 0\.40/m);
  });

  test("is also what a dumb terminal gets", () => {
    expect(written({ isTTY: true, columns: 80, env: { TERM: "dumb" } })).toBe(written({}));
  });

  test("says who wrote a line of a rollout without colour", () => {
    const text = written({}, (screen) =>
      screen.onSample?.("one rollout", sample("g", 0, { calls: [goodCall] })),
    );
    expect(text.split("\n")[0]).toBe("one rollout");
    expect(text).toMatch(/^# word0/m);
    expect(text).toMatch(/^ {2}word217/m);
    expect(text).toMatch(/^> word372/m);
  });
});

describe("a terminal", () => {
  test("is coloured, unless NO_COLOR is set, and redraws in both cases", () => {
    expect(written({ isTTY: true, columns: 80 })).toContain(COLOUR);
    const bare = written({ isTTY: true, columns: 80, env: { NO_COLOR: "1" } });
    expect(bare).not.toContain(COLOUR);
    expect(bare).toContain(`${ESCAPE}[2A`);
  });

  test.each([40, 60, 80, 200])("of %i columns shows no line of a run that wraps", (columns) => {
    const screen = replay(written({ isTTY: true, columns }, liveRun));
    for (const frame of screen)
      for (const line of frame) expect(Bun.stringWidth(line)).toBeLessThan(columns);
  });

  test("ends with no live line left, and every lasting line once", () => {
    const last = replay(written({ isTTY: true, columns: 120 })).at(-1)!;
    expect(last.filter((line) => line.includes("left"))).toEqual([]);
    expect(last.filter((line) => line.includes("stage1, 0 shots"))).toHaveLength(1);
    expect(last.filter((line) => line.startsWith("stage2  no demonstrations"))).toHaveLength(1);
    expect(last.filter((line) => line === "warning: the gate waits")).toHaveLength(2);
  });

  test("shows steps done, time left, and the zero-shot figure while it runs", () => {
    const frames = replay(written({ isTTY: true, columns: 120 }));
    const live = frames.map((frame) => frame.join("\n")).find((frame) => frame.includes(" 3/4"))!;
    // 1 step of 1.5 s is left, and 2 evaluations of 2 s.
    expect(live).toMatch(/stage2 .* 3\/4 {2}6 s left/);
    expect(live).toMatch(/reward 0\.50 .* 0-shot EM 0\.90 .* tok\/s/);
  });
});

describe("the last page", () => {
  test("compares before and after by demonstrations, in figures, a plot and one question", () => {
    const text = written({});
    expect(text).toMatch(/demonstrations +EM base +EM stage1 +EM stage2/);
    expect(text).toMatch(/^0 +0\.000 +0\.900 +0\.900/m);
    expect(text).toMatch(/◆ held-out EM, 0-shot/);
    expect(text).toMatch(/before, no demonstrations +│ after stage2, no demonstrations/);
    expect(text).toMatch(/finished {2}4 steps in 1m01s, recorded in runs\/nano\n$/);
  });

  test("says why a run ended early", () => {
    const end = { outcome: "interrupted", reason: "Ctrl-C", steps: 1, wallSeconds: 5 } as const;
    const text = written({}, (screen) => {
      screen.onStart?.(start);
      screen.onEnd?.(end);
    });
    expect(text).toContain("interrupted: Ctrl-C  1 step in 5 s");
  });
});

describe("a policy's text", () => {
  test("cannot send control codes to the terminal", () => {
    const evil = (): string => `${ESCAPE}]0;owned\x07\u202e\tx\n`;
    const write = { text: "" };
    const stream = { write: (part: string) => (write.text += part) };
    const screen = openScreen({ json: false, stream, environment: {}, decode: evil });
    screen.onSample?.("t", sample("g", 0));
    expect(write.text).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
    expect(write.text).toContain("]0;owned");
  });
});

describe("--json", () => {
  const lines = written({ json: true, isTTY: true })
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

  test("prints one line a step", () => {
    const steps = lines.filter(({ type }) => type === "step");
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(steps[0]).toMatchObject({
      tool_calls: 1.2,
      logprob_difference: { max: 5e-6 },
      native: { cpu_bytes: 5e7 },
    });
  });

  test("ends with the summary: each evaluation in order, seconds, steps", () => {
    const {
      type,
      evals,
      wall_s: wall,
      steps,
    } = lines.at(-1)! as { evals: object[] } & Record<string, unknown>;
    expect({ type, wall, steps }).toEqual({ type: "summary", wall: 61, steps: 4 });
    expect(evals).toHaveLength(6);
    const figures = { em: 0.9, em_1hop: 0.9, em_2hop: 0.45, valid_format: 0.9, tool_calls: 1.3 };
    expect(evals[0]).toMatchObject({ stage: "base", shots: 0, em: 0 });
    expect(evals.at(-1)).toMatchObject({ stage: "stage2", shots: 3, ...figures });
  });

  test("gives null where tasks say no hops", () => {
    const text = written({ json: true }, (screen) => {
      screen.onStart?.(start);
      screen.onEval?.(evaluation("base", 0, 0, { emByHops: {} }), []);
    });
    expect(JSON.parse(text.trimEnd().split("\n").at(-1)!)).toMatchObject({
      em_1hop: null,
      em_2hop: null,
    });
  });

  test("of a continued run lists what the run had before", () => {
    const past = {
      steps: [],
      evaluations: [{ evaluation: evaluation("base", 0, 0), samples: [] }],
    };
    const text = written({ json: true }, (screen) => {
      screen.onStart?.({ ...start, past });
      screen.onEnd?.({ outcome: "finished", steps: 0, wallSeconds: 1 });
    });
    const summary = JSON.parse(text.trimEnd().split("\n").at(-1)!) as { evals: object[] };
    expect(summary.evals).toHaveLength(1);
  });
});

/** The part of a run whose lines must not wrap: everything that is redrawn. */
function liveRun(screen: RunObserver): void {
  const short = { ...start, recipeName: "n", policyText: "p", facts: [] };
  screen.onStart?.(short);
  screen.onStageStart?.(start.stages[0]!);
  screen.onStep?.(stepMetrics(1, { decode: { tokens: 1, seconds: 1, tokensPerSecond: 123456 } }));
  screen.onEvalStart?.({ stage: "stage1", shots: 3, numSamples: 200 });
}

/** The screen after each redraw: a small terminal that knows "up n lines, clear what is below". */
function replay(text: string): string[][] {
  const frames: string[][] = [];
  let lines: string[] = [];
  for (const part of text.split(new RegExp(`(?=${ESCAPE}\\[\\d+A)`))) {
    const up = UP.exec(part);
    if (up !== null) lines = lines.slice(0, lines.length - Number(up[1]));
    const added = Bun.stripANSI(part.slice(up?.[0].length ?? 0))
      .split("\n")
      .slice(0, -1);
    lines = [...lines, ...added];
    frames.push(lines);
  }
  return frames;
}
