import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseRows } from "../../src/cli/reward-rows.ts";
import { UserError } from "../../src/config/errors.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder, jsonl } from "../helpers/data-files.ts";

setDefaultTimeout(60_000);

const good = { id: 7, prompt: "p", response: "<answer> b </answer>", golds: ["b"] };

describe("parseRows", () => {
  test("keeps fields it does not know and skips empty lines", () => {
    const rows = parseRows(`\n${JSON.stringify({ ...good, more: [1] })}\r\n\n`, "f");
    expect(rows).toEqual([{ row: { ...good, more: [1] }, where: "f:2" } as never]);
  });

  const bad: readonly (readonly [string, string, string])[] = [
    ["text that is not JSON", "{", "not a JSON object"],
    ["a missing field", JSON.stringify({ ...good, golds: undefined }), "golds: "],
    ["an empty list of golds", JSON.stringify({ ...good, golds: [] }), "golds: "],
    ["a list of a wrong type", JSON.stringify({ ...good, golds: ["b", 3] }), "golds.1: "],
    [
      "tests of no known kind",
      JSON.stringify({ ...good, tests: { test: "x" } }),
      "tests: expected ",
    ],
    ["a value that is not an object", "[]", "expected object"],
  ];
  test.each(bad)("names file and line of %s", (_, line, message) => {
    const error = thrownBy(() => parseRows(`${JSON.stringify(good)}\n\n${line}\n`, "rows.jsonl"));
    expect(error.message).toContain(message);
    expect(error.where).toBe("rows.jsonl:3");
    expect(error.describe()).not.toContain("\n");
  });
});

/** Runs the command on rows in a file `rows.jsonl` beside `files`. */
async function reward(
  rows: readonly object[],
  options: readonly string[],
  files: Readonly<Record<string, string>> = {},
) {
  using folder = dataFolder();
  folder.write("rows.jsonl", jsonl(rows));
  for (const [name, text] of Object.entries(files)) folder.write(name, text);
  return await icrl(folder.path, "reward", "--file", "rows.jsonl", ...options);
}

const totals = (stdout: string): number[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { reward: number }).reward);

describe("icrl reward", () => {
  test("--json prints the same rows with reward and components", async () => {
    const { stdout } = await reward([good], ["--profile", "icrl", "--json"]);
    const printed = JSON.parse(stdout) as Record<string, unknown>;
    expect(printed).toMatchObject(good);
    // .8 EM + .2 (1 - .15 no think - .1 no search)
    expect(printed["reward"]).toBeCloseTo(0.95, 12);
    expect(printed["components"]).toMatchObject({
      em: 1,
      valid_format: 0,
      no_think: 0.15,
      no_search: 0.1,
    });
  });

  test("without --json a table names the faults and ends with the means", async () => {
    const rows = [good, { ...good, golds: ["c"] }];
    const { stdout } = await reward(rows, ["--profile", "icrl"]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[1]).toContain("no_think -0.15, no_search -0.1");
    expect(lines[3]).toBe(" mean    0.55  0.50    0.75   0.00"); // (0.95 + 0.15) / 2
  });

  test("a recipe's reward is read by its tags, and --set changes it", async () => {
    const rows = [{ ...good, response: "<answer>\\boxed{b}</answer>" }];
    const options = [
      "--recipe",
      "nano",
      "--set",
      "reward.profile=retool",
      "--set",
      "reward.weights.accuracy=3",
      "--json",
    ];
    expect(totals((await reward(rows, options)).stdout)).toEqual([3]);
  });

  test("--tags says how the responses are written", async () => {
    const rows = [{ ...good, response: "so \\boxed{b}" }];
    const asked = ["--profile", "icrl-math", "--json"];
    const means = async (more: readonly string[]) => {
      const { stdout } = await reward(rows, [...asked, ...more]);
      return (JSON.parse(stdout) as { components: { em: number } }).components.em;
    };
    expect([await means([]), await means(["--tags", "torl"])]).toEqual([0, 1]);
  });

  test("a row may say that its last execution failed", async () => {
    const rows = [{ ...good, response: "\\boxed{b}", execution_failed: true }];
    expect(totals((await reward(rows, ["--profile", "torl", "--json"])).stdout)).toEqual([0.5]);
  });

  test("a reward of one's own is asked for each row, and what it prints is not in the output", async () => {
    const files = {
      "my.ts": "export default ({ id, golds }) => ({ total: golds.length, id: Number(id) });",
      "my.py":
        "def reward(id, golds, **rest):\n    print('hello')\n    return {'total': len(golds), 'id': int(id)}",
    };
    for (const file of Object.keys(files)) {
      const rows = [good, { ...good, id: 8, golds: ["b", "c"] }];
      const { stdout, stderr } = await reward(rows, ["--file-reward", file, "--json"], files);
      expect(totals(stdout)).toEqual([1, 2]);
      expect(stdout).toContain('"id":8');
      expect(stderr).toBe(file === "my.py" ? "hello\nhello\n" : "");
    }
  });
});

describe("what is wrong is one line", () => {
  const files = { "bad.ts": "export default () => { throw new Error('oh'); };", "my.txt": "" };
  const table: readonly (readonly [string, readonly string[], string, number])[] = [
    [
      "no reward named",
      [],
      "no reward is named - add --profile NAME, --recipe FILE or --file-reward FILE",
      2,
    ],
    [
      "an unknown profile",
      ["--profile", "irl"],
      'unknown reward profile "irl" - did you mean "icrl"?',
      1,
    ],
    [
      "an unknown tag profile",
      ["--profile", "icrl", "--tags", "ret0ol"],
      'unknown tag profile "ret0ol" - did you mean "retool"?',
      1,
    ],
    [
      "two rewards",
      ["--profile", "icrl", "--recipe", "nano"],
      "--profile and --recipe both name a reward - a recipe is changed with --set",
      2,
    ],
    [
      "a change of no recipe",
      ["--profile", "icrl", "--set", "a=1"],
      "--set changes a recipe, and none is named - add --recipe",
      2,
    ],
    [
      "an unknown weight",
      ["--recipe", "nano", "--set", "reward.weights.acc=1"],
      'unknown key "reward.weights.acc" (--set reward.weights.acc=1) - known: accuracy, wrong, format, ',
      1,
    ],
    [
      "rows without tests",
      ["--profile", "code"],
      "tests: accuracy tests of the reward profile code needs them (rows.jsonl:1) - a row is ",
      1,
    ],
    [
      "a reward file of another language",
      ["--file-reward", "my.txt"],
      "not a TypeScript (.ts) or Python (.py) file (--file-reward my.txt)",
      2,
    ],
    [
      "no reward file",
      ["--file-reward", "none.py"],
      "there is no such reward file (none.py) - ",
      1,
    ],
    [
      "a reward that throws",
      ["--file-reward", "bad.ts"],
      "no reward for task 7: reward() threw Error: oh (",
      1,
    ],
  ];
  test.each(table)("%s", async (_, options, line, status) => {
    const { code, stdout, stderr } = await reward([good], options, files);
    expect(stderr).toStartWith(`icrl: ${line}`);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect([code, stdout]).toEqual([status, ""]);
  });

  test("a file of rows that is not there", async () => {
    const { code, stderr } = await icrl(".", "reward", "--profile", "icrl", "--file", "/no/such");
    expect([code, stderr.split(" (")[0]]).toEqual([1, "icrl: cannot read the rows"]);
  });
});

function thrownBy(act: () => unknown): UserError {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError) return error;
  }
  throw new Error("no UserError was thrown");
}
