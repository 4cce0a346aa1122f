import { describe, expect, test } from "bun:test";
import { Command } from "commander";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRows, scoreRows } from "../../src/cli/reward-rows.ts";
import { register } from "../../src/cli/reward.ts";
import { UserError } from "../../src/config/errors.ts";
import { rewardProfile } from "../../src/reward/profiles.ts";

const good = { id: 7, prompt: "p", response: "<answer> b </answer>", golds: ["b"] };

describe("parseRows", () => {
  test("keeps fields it does not know and skips empty lines", () => {
    expect(parseRows(`\n${JSON.stringify(good)}\r\n\n`, "f")).toEqual([good]);
  });

  const bad: readonly (readonly [string, string, string])[] = [
    ["text that is not JSON", "{", "not a JSON object"],
    ["a missing field", JSON.stringify({ ...good, golds: undefined }), "golds: "],
    ["an empty list of golds", JSON.stringify({ ...good, golds: [] }), "golds: "],
    ["a list of a wrong type", JSON.stringify({ ...good, golds: ["b", 3] }), "golds.1: "],
    ["a value that is not an object", "[]", "expected object"],
  ];
  test.each(bad)("names file and line of %s", (_, line, message) => {
    const error = thrownBy(() => parseRows(`${JSON.stringify(good)}\n\n${line}\n`, "rows.jsonl"));
    expect(error.message).toContain(message);
    expect(error.where).toBe("rows.jsonl:3");
    expect(error.describe()).not.toContain("\n");
  });
});

test("rows are scored in their order", () => {
  const rows = [good, { ...good, golds: ["c"] }];
  const totals = scoreRows(rewardProfile("icrl"), rows).map(({ reward }) => reward.total);
  // .8 EM + .2 (1 - .15 no think - .1 no search)
  expect(totals[0]).toBeCloseTo(0.95, 12);
  expect(totals[1]).toBeCloseTo(0.15, 12);
});

describe("icrl reward", () => {
  test("--json prints the same rows with reward and components", async () => {
    const rows = await rewardCommand([good], ["--json"]);
    const printed = JSON.parse(rows) as Record<string, unknown>;
    expect(printed).toMatchObject(good);
    expect(printed.reward).toBeCloseTo(0.95, 12);
    expect(printed.components).toMatchObject({
      em: 1,
      valid_format: 0,
      no_think: 0.15,
      no_search: 0.1,
    });
  });

  test("without --json a table names the faults and ends with the means", async () => {
    const table = await rewardCommand([good, { ...good, golds: ["c"] }], []);
    const lines = table.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[1]).toContain("no_think -0.15, no_search -0.1");
    expect(lines[3]).toBe(" mean    0.55  0.50    0.75   0.00"); // (0.95 + 0.15) / 2
  });

  test("a file that is not there is one line", async () => {
    const program = new Command();
    register(program);
    const parse = program.parseAsync(["reward", "--profile", "icrl", "--file", "/no/such"], {
      from: "user",
    });
    await expect(parse).rejects.toBeInstanceOf(UserError);
  });
});

/** Runs the command on rows in a file of its own; returns what it printed. */
async function rewardCommand(rows: readonly object[], options: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "icrl-reward-"));
  const file = join(folder, "rows.jsonl");
  const written: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = ((text: string) => written.push(text) > 0) as typeof process.stdout.write;
  try {
    await Bun.write(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    const program = new Command();
    register(program);
    await program.parseAsync(["reward", "--profile", "icrl", "--file", file, ...options], {
      from: "user",
    });
  } finally {
    process.stdout.write = write;
    rmSync(folder, { recursive: true });
  }
  return written.join("");
}

function thrownBy(act: () => unknown): UserError {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError) return error;
  }
  throw new Error("no UserError was thrown");
}
