import { describe, expect, test } from "bun:test";
import { RowFault, type RowMeaning } from "../../src/data/formats/format.ts";
import { formatOf } from "../../src/data/formats/index.ts";
import { namedFields } from "../../src/data/formats/named-fields.ts";
import type { Row } from "../../src/data/row.ts";
import { loadSource } from "../../src/data/source.ts";
import { dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

const dapoText = (problem: string): string =>
  "Solve the following math problem step by step. The last line says the answer.\n\n" +
  `${problem}\n\nRemember to put your answer on its own line after "Answer:".`;

/** Rows of one format: [what, row, question, golds, id, meta]. */
type Case = readonly [string, Row, string, readonly string[], (string | undefined)?, object?];

const cases: Readonly<Record<string, readonly Case[]>> = {
  verl: [
    [
      "FlashRAG's columns win",
      {
        id: "train_0",
        question: " who founded Orn? ",
        golden_answers: ["Ada Pell"],
        data_source: "nq",
        prompt: [{ role: "user", content: "Reason first. who founded Orn?" }],
        reward_model: { style: "rule", ground_truth: { target: ["Pell"] } },
        extra_info: { index: 0n, split: "train" },
      },
      "who founded Orn?",
      ["Ada Pell"],
      "train_0",
      { source: "nq", split: "train" },
    ],
    [
      "without them the last user message and the ground truth",
      {
        data_source: "made",
        prompt: [
          { role: "system", content: "Be short." },
          { role: "user", content: "2 + 2?" },
        ],
        reward_model: { ground_truth: 4 },
        extra_info: { index: 9007199254740993n },
      },
      "2 + 2?",
      ["4"],
      "9007199254740993",
      { source: "made" },
    ],
    [
      "a question among the extras, one target",
      {
        prompt: [{ role: "user", content: "Long words. Q?" }],
        reward_model: { ground_truth: { target: "A" } },
        extra_info: { question: "Q?", index: 3 },
      },
      "Q?",
      ["A"],
      "3",
    ],
  ],
  "dapo-math": [
    [
      "the instructions are taken off",
      {
        data_source: "math_dapo",
        prompt: [{ role: "user", content: dapoText("How many?\n\nSecond paragraph.") }],
        reward_model: { ground_truth: "34", style: "rule-lighteval/MATH_v2" },
        extra_info: { index: "ab-12" },
      },
      "How many?\n\nSecond paragraph.",
      ["34"],
      "ab-12",
      { source: "math_dapo" },
    ],
  ],
  flashrag: [
    [
      "nq",
      {
        id: "test_1",
        question: "where",
        golden_answers: ["Orn", " Orn", "", "Tel"],
      },
      "where",
      ["Orn", "Tel"],
      "test_1",
    ],
    [
      "hotpotqa",
      {
        id: 5,
        question: "w",
        golden_answers: ["a"],
        metadata: { type: "bridge", x: {} },
      },
      "w",
      ["a"],
      "5",
      { type: "bridge" },
    ],
  ],
  popqa: [
    [
      "answers in a string",
      {
        id: 42n,
        question: "q",
        prop: "capital",
        possible_answers: '["Tel", "Land of Tel"]',
      },
      "q",
      ["Tel", "Land of Tel"],
      "42",
      { prop: "capital" },
    ],
  ],
  trivia_qa: [
    [
      "value first, then the aliases",
      {
        question: "q",
        question_id: "tc_1",
        answer: {
          value: "Amber Sea",
          aliases: ["The Amber Sea"],
          normalized_aliases: ["amber sea"],
        },
        search_results: {},
      },
      "q",
      ["Amber Sea", "The Amber Sea", "amber sea"],
      "tc_1",
    ],
  ],
  musique: [
    [
      "aliases and the number of hops",
      {
        id: "3hop1__1_2_3",
        question: "q",
        answer: "Tel",
        answer_aliases: ["Land of Tel"],
        answerable: true,
      },
      "q",
      ["Tel", "Land of Tel"],
      "3hop1__1_2_3",
      { hops: 3 },
    ],
  ],
  hotpot_qa: [
    [
      "the hub's",
      {
        id: "5a",
        question: "q",
        answer: "yes",
        type: "comparison",
        level: "hard",
        supporting_facts: {},
      },
      "q",
      ["yes"],
      "5a",
      { type: "comparison", level: "hard" },
    ],
    [
      "2WikiMultihopQA",
      { _id: "8", question: "q", answer: "a", supporting_facts: [] },
      "q",
      ["a"],
      "8",
    ],
  ],
  bamboogle: [["capitals", { Question: "Q", Answer: "A" }, "Q", ["A"]]],
  aime: [
    [
      "lower case",
      { id: 60, problem: "P", solution: "", answer: "204", year: "2024" },
      "P",
      ["204"],
      "60",
      { year: "2024" },
    ],
    ["capitals", { ID: "2024-II-4", Problem: "P", Answer: 33n }, "P", ["33"], "2024-II-4"],
  ],
  gsm8k: [
    [
      "a number after the last line's mark",
      { question: "Q", answer: "so 1 <<1=1>>\n#### 1,234,000" },
      "Q",
      ["1234000"],
    ],
  ],
  nq_open: [["a list", { question: "q", answer: ["Sil", "the Sil"] }, "q", ["Sil", "the Sil"]]],
  custom: [
    ["one answer", { question: "q", answer: 12 }, "q", ["12"]],
    ["several", { id: 7, question: "q", answers: ["a", "b"] }, "q", ["a", "b"], "7"],
  ],
};

for (const [name, rows] of Object.entries(cases)) {
  describe(`a row of ${name} is known and read`, () => {
    for (const [what, row, question, golds, id, meta = {}] of rows) {
      test(what, () => {
        const format = formatOf(row, "x");
        expect(format.name).toBe(name);
        const wanted = {
          kind: "task",
          question,
          golds: [...golds],
          id,
          meta,
        } as RowMeaning;
        expect(format.read(row)).toEqual(wanted);
      });
    }
  });
}

describe("a row that asks nothing answerable is left out with the reason", () => {
  const table: readonly [row: Row, why: string][] = [
    [{ question: "q", answer_aliases: [], answer: "a", answerable: false }, "not answerable"],
    [{ question: "q", answer: { value: "<unk>", aliases: [] } }, "withheld"],
    [{ question: "q", answer: "", supporting_facts: [] }, "withheld"],
  ];
  test.each(table)("%j", (row, why) => {
    const meaning = formatOf(row, "x").read(row);
    expect(meaning.kind === "left_out" ? meaning.why : "").toContain(why);
  });
});

describe("a row that is not what its format says has a fault that names the field", () => {
  const good: Row = { question: "q", golden_answers: ["a"] };
  const table: readonly [like: Row, row: Row, fault: string][] = [
    [good, { question: "q" }, "golden_answers: expected an answer or a list of answers"],
    [good, { question: "q", golden_answers: ["", " "] }, "golden_answers: no accepted answer"],
    [good, { question: " ", golden_answers: ["a"] }, "question: is empty"],
    [good, { question: null, golden_answers: ["a"] }, "question: expected text"],
    [
      { question: "q", possible_answers: "[]" },
      { question: "q", possible_answers: "[oops" },
      "possible_answers: not a JSON list",
    ],
    [
      { question: "q", answer: "#### 1" },
      { question: "q", answer: "one" },
      'answer: does not end in "#### number"',
    ],
    [
      { prompt: [], reward_model: {} },
      {
        prompt: [{ role: "system", content: "s" }],
        reward_model: { ground_truth: "a" },
      },
      "prompt: no message of the user",
    ],
    [
      { prompt: [], reward_model: {} },
      { prompt: "q", reward_model: { ground_truth: { target: [] } } },
      "reward_model.ground_truth: no accepted answer",
    ],
    [{ problem: "p", answer: 1 }, { problem: "p", solution: "s" }, "answer: is missing"],
    [{ question: "q", answer: "a" }, { question: "q" }, "answer: no accepted answer"],
  ];
  test.each(table)("%j then %j", (like, row, fault) => {
    const format = formatOf(like, "x");
    expect(() => format.read(row)).toThrow(new RowFault(fault));
  });
});

describe("rows with tests of code", () => {
  const prompt = 'def twice(n):\n    """Two times n."""\n';
  const test4 = "def check(candidate):\n    assert candidate(2) == 4\n";
  const humanEval: Row = {
    task_id: "Own/0",
    prompt,
    canonical_solution: "    return 2 * n\n",
    test: test4,
    entry_point: "twice",
  };
  const mbpp: Row = {
    task_id: 3,
    text: "Write a function to double a number.",
    code: "def twice(n): return n + n",
    test_list: ["assert twice(2) == 4", "assert twice(0) == 0"],
    test_setup_code: "import math",
    challenge_test_list: ["assert twice(9) == 18"],
  };
  const { text: words, test_setup_code: _, challenge_test_list: __, ...rest } = mbpp;
  const sanitized: Row = { ...rest, prompt: words, test_imports: ["import math", "import re"] };

  test("HumanEval's ask for the whole function, and keep its tests out of the question", () => {
    expect(formatOf(humanEval, "x").read(humanEval)).toEqual({
      kind: "task",
      id: "Own/0",
      question: `${prompt.trim()}\n\nWhat is the code of the whole function twice?`,
      golds: [`${prompt}    return 2 * n\n`],
      tests: { kind: "humaneval", prompt, test: test4, entryPoint: "twice" },
    });
  });

  test("MBPP's show the first test, and use no challenge", () => {
    const question =
      "Write a function to double a number.\nIt has to pass: assert twice(2) == 4\nWhat is the code?";
    const asserts = mbpp["test_list"] as string[];
    const golds = ["def twice(n): return n + n"];
    expect(formatOf(mbpp, "x").read(mbpp)).toEqual({
      kind: "task",
      id: "3",
      question,
      golds,
      tests: { kind: "mbpp", setup: "import math", asserts },
    });
    expect(formatOf(sanitized, "x").read(sanitized)).toMatchObject({
      question,
      golds,
      tests: { kind: "mbpp", setup: "import math\nimport re", asserts },
    });
  });

  const faults: readonly (readonly [Row, Row, string])[] = [
    [humanEval, { entry_point: "thrice" }, "prompt: does not define thrice, the entry_point"],
    [humanEval, { test: "assert True" }, "test: does not define check(candidate)"],
    [humanEval, { entry_point: "a b" }, "entry_point: expected the name of a function"],
    [humanEval, { test: 3 }, "test: expected code"],
    [mbpp, { test_list: [] }, "test_list: holds no test"],
    [mbpp, { text: null }, "text: is missing"],
  ];
  test.each(faults)("%j with %j are refused", (row, change, fault) => {
    expect(() => formatOf(row, "x").read({ ...row, ...change })).toThrow(new RowFault(fault));
  });

  test("tasks keep them", async () => {
    using folder = dataFolder();
    const path = folder.write(
      "code.jsonl",
      jsonl([humanEval, { ...humanEval, task_id: "Own/1", test: `${test4}# more\n` }]),
    );
    const { tasks } = await loadSource({ path, name: "code" });
    expect(tasks).toHaveLength(1); // the same question
    expect(tasks[0]!.tests).toEqual({
      kind: "humaneval",
      prompt,
      test: test4,
      entryPoint: "twice",
    });
  });
});

describe("columns that the recipe names", () => {
  const row = {
    task: { text: "q" },
    label: 3n,
    key: "k",
    prompt: [{ role: "user", content: "p" }],
  };
  test("may lie deep, and may be chat messages", () => {
    const deep = namedFields({
      question: "task.text",
      answer: "label",
      id: "key",
    }).read(row);
    expect(deep).toMatchObject({ question: "q", golds: ["3"], id: "k" });
    expect(namedFields({ question: "prompt", answer: "label" }).read(row)).toMatchObject({
      question: "p",
    });
  });
  test("and that a row lacks are a fault with their name", () => {
    const read = (question: string, answer: string) => () =>
      namedFields({ question, answer }).read(row);
    expect(read("task.words", "label")).toThrow("task.words: expected text");
    expect(read("task.text", "labels")).toThrow("labels: expected an answer or a list of answers");
  });
});

describe("rows of no known format are refused", () => {
  const table: readonly [row: Row, line: string][] = [
    [
      { quesiton: "q", answer: "a" },
      'no known format has rows with quesiton, answer (f:1) - "quesiton": did you mean "question"?',
    ],
    [
      { text: "q", label: "a" },
      "no known format has rows with text, label (f:1) - name the columns in the recipe: " +
        "data.train: [{path: P, fields: {question: X, answer: Y}}]",
    ],
  ];
  test.each(table)("%j", async (row, line) => {
    expect(await refusal(() => formatOf(row, "f:1"))).toBe(line);
  });
});
