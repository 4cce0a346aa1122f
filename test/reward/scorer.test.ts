// Scorers over real things: the sandbox, a Python process, files of TypeScript.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rewardSection } from "../../src/config/reward-recipe.ts";
import { requireJudgeable } from "../../src/reward/judgeable.ts";
import { openScorer, type Scorer } from "../../src/reward/scorer.ts";
import { ScoringError } from "../../src/reward/scoring-error.ts";
import type { ScoredText } from "../../src/reward/score.ts";
import { tagProfile } from "../../src/reward/tags.ts";
import type { CodeTests } from "../../src/types.ts";
import { embeddedRewards } from "../../src/config/embedded.ts";
import { dataFolder, type DataFolder, refusal } from "../helpers/data-files.ts";
import { whyNoSandbox } from "../helpers/python-sandbox.ts";

setDefaultTimeout(120_000);

const tags = tagProfile("icrl");
const textOf = (response: string, more: Partial<ScoredText> = {}): ScoredText => ({
  id: "nq/17",
  question: "which?",
  prompt: "Which?",
  response,
  policyText: response,
  golds: ["b"],
  ...more,
});
const right = textOf("<answer>b</answer>");

let folder: DataFolder;
beforeAll(() => {
  folder = dataFolder();
});
afterAll(() => folder[Symbol.dispose]());

const open = (file: string, more: object = {}): Promise<Scorer> =>
  openScorer(rewardSection.parse({ file, ...more }), tags);

describe("a reward file", () => {
  const good: readonly (readonly [string, string, string, number, Record<string, number>])[] = [
    [
      "a number",
      "a.ts",
      "export default ({ golds, answer }) => (golds.includes(answer) ? 0.7 : 0);",
      0.7,
      {},
    ],
    [
      "a promise of total and components",
      "b.ts",
      "export default async function reward(row: { policyText: string }) {\n" +
        "  return { total: 2, length: row.policyText.length };\n}",
      2,
      { length: 18 },
    ],
    ["JavaScript", "c.mjs", "export default () => 3;", 3, {}],
    [
      "a number in Python",
      "a.py",
      "def reward(golds, answer):\n    return 0.5 if answer in golds else 0",
      0.5,
      {},
    ],
    [
      "a dict, from a file that prints and reads",
      "b.py",
      "import sys\nprint('loaded')\ndef reward(**row):\n    print('{\"value\": 9}')\n    sys.stdout.flush()\n" +
        "    assert sys.stdin.read() == ''\n    return {'total': True, 'length': len(row['policy_text'])}",
      1,
      { length: 18 },
    ],
    ["its own em", "d.ts", "export default () => ({ total: 0, em: 0 });", 0, { em: 0 }],
  ];
  test.each(good)("may return %s", async (_, name, text, total, components) => {
    await using scorer = await open(folder.write(name, text));
    for (const _again of [1, 2]) {
      const reward = await scorer.score(right);
      expect(reward.total).toBe(total);
      // What the profile measures is recorded beside it.
      expect(reward.components).toMatchObject({
        em: 1,
        format: 0.75,
        no_think: 0.15,
        ...components,
      });
    }
  });

  test("may import what lies beside it", async () => {
    folder.write("lib/helper.ts", "export const half: number = 0.5;");
    folder.write("helper.py", "half = 0.5");
    const typescript = 'import { half } from "./lib/helper.ts";\nexport default () => half;';
    const python = "from helper import half\ndef reward():\n    return half";
    for (const file of [
      folder.write("imports.ts", typescript),
      folder.write("imports.py", python),
    ]) {
      await using scorer = await open(file);
      expect((await scorer.score(right)).total).toBe(0.5);
    }
  });

  test("is given what was asked, written and called", async () => {
    const result = { ok: true, text: "found" } as const;
    const call = { tool: "search", input: "q", result, latencyMs: 1, attempts: 1 };
    const text = { ...right, toolCalls: [call], meta: { hops: 2 } };
    const shown = "throw new Error(JSON.stringify(row))";
    await using one = await open(folder.write("given.ts", `export default (row) => { ${shown} };`));
    const typescript = await refusal(() => one.score(text), folder);
    await using other = await open(
      folder.write(
        "given.py",
        "import json\ndef reward(**row):\n    raise ValueError(json.dumps(row))",
      ),
    );
    const python = await refusal(() => other.score(text), folder);
    for (const part of ['"which?"', '"nq/17"', '"found"', '"hops"', '"Which?"']) {
      expect(typescript).toContain(part);
      expect(python).toContain(part);
    }
    expect(typescript).toContain('"policyText"');
    expect(python).toContain('"policy_text"');
  });

  test.each(Object.keys(embeddedRewards))("the example %s works as it is", async (name) => {
    await using scorer = await open(folder.write(`example/${name}`, embeddedRewards[name]!));
    const call = {
      tool: "search",
      input: "q",
      result: { ok: true, text: "" } as const,
      latencyMs: 1,
      attempts: 1,
    };
    const reward = await scorer.score({ ...right, toolCalls: [call] });
    expect(reward.total).toBeCloseTo(1 - 0.05, 12);
    expect(reward.components).toMatchObject({ em: 1, effort: 1 });
  });

  test("calls of a Python file are answered each with its own, however many wait", async () => {
    const text = "def reward(id, **rest):\n    return int(id)";
    await using scorer = await open(folder.write("ids.py", text));
    const ids = Array.from({ length: 50 }, (_, index) => index);
    const rewards = await Promise.all(ids.map((id) => scorer.score({ ...right, id: String(id) })));
    expect(rewards.map(({ total }) => total)).toEqual(ids);
  });
});

const WANTED = "wanted: a finite number, or total and components that are finite numbers";
const FUNCTION = {
  ts: "wanted: export default function reward({ question, golds, answer }) { return 1; }",
  py: "wanted: def reward(question, golds, answer, **rest): return 1.0",
};

describe("a reward file that can't be used is refused in one line", () => {
  const table: readonly (readonly [string, string, string])[] = [
    [
      "1.ts",
      "export const reward = 1;",
      `the reward file has no function as its default export (1.ts) - ${FUNCTION.ts}`,
    ],
    ["2.ts", "export default function (", "the reward file can't be loaded: "],
    [
      "3.ts",
      'import "./nowhere.ts";\nexport default () => 1;',
      "the reward file can't be loaded: ",
    ],
    ["1.py", "x = 1", `the reward file has no function reward(**row) (1.py) - ${FUNCTION.py}`],
    [
      "2.py",
      "\ndef reward(:",
      "the reward file can't be loaded: SyntaxError: invalid syntax (2.py, line 2) (2.py:2) - ",
    ],
    [
      "3.py",
      "import nowhere",
      "the reward file can't be loaded: ModuleNotFoundError: No module named 'nowhere' (3.py:1) - ",
    ],
    [
      "4.py",
      "def reward(speed): return 1",
      "reward() wants speed, which there is not; there are: id, question, golds, answer,",
    ],
    [
      "5.py",
      "raise SystemExit('no')",
      "the reward file can't be loaded: SystemExit: no (5.py:1) - ",
    ],
    [
      "6.py",
      "import os\nos._exit(4)",
      `the reward file's Python ended with exit code 4 (6.py) - ${FUNCTION.py}`,
    ],
  ];
  test.each(table)("%s: %s", async (name, text, line) => {
    const said = await refusal(() => open(folder.write(name, text)), folder);
    expect(said).toStartWith(line);
    expect(said).not.toContain("\n");
  });

  test("where there is none", async () => {
    expect(await refusal(() => open("no/such.py"))).toBe(
      "there is no such reward file (no/such.py) - reward.file names a TypeScript or Python file",
    );
  });
});

describe("a reward that fails is an error with file, task and cause", () => {
  const table: readonly (readonly [string, string, string])[] = [
    [
      "throw.ts",
      'export default () => { throw new TypeError("a\\nb"); };',
      "reward() threw TypeError: a (throw.ts)",
    ],
    [
      "late.ts",
      "export default () => new Promise(() => undefined);",
      "the reward file took longer than 500 ms (late.ts)",
    ],
    ["nan.ts", "export default () => NaN;", `reward() returned NaN (nan.ts) - ${WANTED}`],
    [
      "nothing.ts",
      "export default () => {};",
      `reward() returned nothing (nothing.ts) - ${WANTED}`,
    ],
    ["text.ts", 'export default () => "1";', `reward() returned "1" (text.ts) - ${WANTED}`],
    [
      "total.ts",
      "export default () => ({ em: 1 });",
      `reward() returned no total (total.ts) - ${WANTED}`,
    ],
    [
      "part.ts",
      'export default () => ({ total: 1, em: "x" });',
      `reward() returned "x" as em (part.ts) - ${WANTED}`,
    ],
    [
      "raise.py",
      "def reward(**row):\n    x = 1\n    raise ValueError('a\\nb')",
      "reward() raised ValueError: a (raise.py:3)",
    ],
    [
      "exit.py",
      "import sys\ndef reward(**row):\n    sys.exit(3)",
      "reward() raised SystemExit: 3 (exit.py:3)",
    ],
    [
      "die.py",
      "import os, sys\ndef reward(**row):\n    print('worse', file=sys.stderr)\n    sys.stderr.flush()\n    os._exit(3)",
      "the reward file's Python ended with exit code 3: worse (die.py)",
    ],
    [
      "late.py",
      "def reward(**row):\n    while True: pass",
      "the reward file took longer than 500 ms (late.py)",
    ],
    [
      "nan.py",
      "def reward(**row):\n    return float('nan')",
      `reward() returned nan (nan.py) - ${WANTED}`,
    ],
    [
      "nothing.py",
      "def reward(**row):\n    pass",
      `reward() returned nothing (nothing.py) - ${WANTED}`,
    ],
    [
      "text.py",
      "def reward(**row):\n    return '1'",
      `reward() returned '1' (text.py) - ${WANTED}`,
    ],
    [
      "total.py",
      "def reward(**row):\n    return {'em': 1}",
      `reward() returned no total (total.py) - ${WANTED}`,
    ],
    [
      "part.py",
      "def reward(**row):\n    return {'total': 1, 'em': 'x'}",
      `reward() returned 'x' as em (part.py) - ${WANTED}`,
    ],
  ];
  test.each(table)("%s", async (name, text, line) => {
    const limits = name.startsWith("late") ? { deadline_ms: 500 } : {}; // others may take their time
    await using scorer = await open(folder.write(name, text), limits);
    const failure = scorer.score(right);
    expect(await refusal(() => failure, folder)).toBe(`no reward for task nq/17: ${line}`);
    await expect(failure).rejects.toBeInstanceOf(ScoringError);
  });
});

const reason = await whyNoSandbox();
const said = reason === undefined ? "" : ` (skipped: ${reason})`;
describe.skipIf(reason !== undefined)(`code is paid by the share of its tests${said}`, () => {
  const prompt = 'import math\n\ndef area(r: float) -> float:\n    """Of a circle."""\n';
  const check = ["0) == 0", "1) == math.pi", "2) == 4 * math.pi", "3) == 9 * math.pi"];
  const test4 = `def check(candidate):\n${check.map((it) => `    assert candidate(${it}\n`).join("")}`;
  const humanEval: CodeTests = { kind: "humaneval", prompt, test: test4, entryPoint: "area" };
  const mbpp: CodeTests = {
    kind: "mbpp",
    setup: "",
    asserts: ["assert twice(2) == 4", "assert twice(3) == 6"],
  };

  let scorer: Scorer;
  beforeAll(async () => {
    const recipe = { profile: "code", tests: { timeout_ms: 20_000 } };
    scorer = await openScorer(rewardSection.parse(recipe), tags);
  });
  afterAll(() => scorer[Symbol.asyncDispose]());

  const answers: readonly (readonly [string, CodeTests, string, number])[] = [
    [
      "a whole function in a fence",
      humanEval,
      "```python\nimport math\ndef area(r):\n    return math.pi * r ** 2\n```",
      1,
    ],
    ["a completion", humanEval, "    return math.pi * r * r", 1],
    ["a completion that lost its indentation", humanEval, "return math.pi * r * r", 1],
    ["one that passes a quarter", humanEval, "def area(r):\n    return 0", 1 / 4],
    [
      "one that raises at the second test",
      humanEval,
      "def area(r):\n    return 0 if r == 0 else 1 / 0",
      1 / 4,
    ],
    ["no Python", humanEval, "pi times the radius squared", 0],
    ["an end of the process that looks like success", humanEval, "import os\nos._exit(0)", 0],
    ["MBPP, all", mbpp, "def twice(n):\n    return n + n", 1],
    ["MBPP, a half", mbpp, "def twice(n):\n    return n + 2", 1 / 2],
    ["MBPP, another name", mbpp, "def double(n):\n    return n + n", 0],
  ];
  test.each(answers)("%s", async (_, tests, code, share) => {
    const { total, components } = await scorer.score(textOf(`<answer>${code}</answer>`, { tests }));
    // .8 of the share, .2 of the format without think .15 and search .1
    expect(total).toBeCloseTo(0.8 * share + 0.2 * 0.75, 12);
    expect([components.accuracy, components.em]).toEqual([share, Number(share === 1)]);
  });

  test("a rollout without an answer passes nothing", async () => {
    expect((await scorer.score(textOf("", { tests: mbpp }))).total).toBe(0);
  });

  test("a task without tests has no reward", async () => {
    expect(await refusal(() => scorer.score(right))).toBe(
      "no reward for task nq/17: there are no tests to run - accuracy: tests wants HumanEval or MBPP rows",
    );
  });
});

describe("questions that a reward can't judge are refused before a run", () => {
  const task = { id: "a/1", question: "q", golds: ["b"], meta: {} };
  const code: CodeTests = { kind: "mbpp", setup: "", asserts: ["assert f()"] };
  const table = [
    [
      { profile: "code" },
      [{ ...task, tests: code }, task],
      "1 of 2 questions have no tests, which reward profile code with accuracy tests runs (the first: a/1) - tests come with HumanEval and MBPP rows",
    ],
    [
      {},
      [{ ...task, golds: [] }],
      "1 of 1 questions have no accepted answer, which reward profile icrl with accuracy em needs (the first: a/1) - for code: --set reward.profile=code",
    ],
    [{ file: "my.ts" }, [{ ...task, golds: [] }], "accepted"],
    [{ profile: "code" }, [{ ...task, golds: [], tests: code }], "accepted"],
  ] as const;
  test.each(table)("%j", async (recipe, tasks, line) => {
    expect(await refusal(() => requireJudgeable(rewardSection.parse(recipe), tasks))).toBe(line);
  });
});
