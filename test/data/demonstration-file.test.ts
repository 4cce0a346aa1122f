import { describe, expect, test } from "bun:test";
import { openDemonstrations, parseDemonstrations } from "../../src/data/demonstration-file.ts";
import { dataFolder, refusal } from "../helpers/data-files.ts";

const good = `- id: a
  question: Where is Orn?
  turns:
    - think: I look it up.
      call: Orn
      observation: |
        Doc 1(Title: "Orn") Orn lies on the Sil.
        Doc 2(Title: "Tel") Tel is a land.
    - think: It lies on the Sil.
  answer: on the Sil
`;

test("a file's demonstrations are in its order, with lines kept inside observations", () => {
  const { demonstrations } = parseDemonstrations(`${good}${good.replace("id: a", "id: b")}`, "d");
  expect(demonstrations.map(({ id }) => id)).toEqual(["a", "b"]);
  expect(demonstrations[0]).toEqual({
    id: "a",
    question: "Where is Orn?",
    turns: [
      {
        think: "I look it up.",
        toolCall: "Orn",
        observation: 'Doc 1(Title: "Orn") Orn lies on the Sil.\nDoc 2(Title: "Tel") Tel is a land.',
      },
      { think: "It lies on the Sil." },
    ],
    answer: "on the Sil",
  });
});

test("a turn calls the tool that it names, else the demonstration's, else the recipe's first", () => {
  const second =
    "    - { think: x, tool: python, call: 1 + 1, observation: '2' }\n    - think: It lies";
  const named = `${good.replace("  question", "  tool: wiki\n  question")}`;
  const toolsOf = (yaml: string) =>
    parseDemonstrations(yaml, "d").demonstrations[0]!.turns.map(({ tool }) => tool);
  expect(toolsOf(good)).toEqual([undefined, undefined]);
  expect(toolsOf(named.replace("    - think: It lies", second))).toEqual([
    "wiki",
    "python",
    undefined,
  ]);
});

describe("a mistake names line, column and what was meant", () => {
  const change = (from: string, to: string): string => good.replace(from, to);
  const table: readonly [claim: string, yaml: string, line: string][] = [
    [
      "a key",
      change("call:", "cal:"),
      'unknown key "0.turns.0.cal" (d.yaml:5:7) - did you mean "call"?',
    ],
    [
      "nothing to answer",
      change("  answer: on the Sil\n", ""),
      "0.answer: expected string, received undefined (d.yaml:1:3)",
    ],
    [
      "a tool without a call",
      change("    - think: It lies", "    - tool: search\n      think: It lies"),
      "a tool is named, and not called (d.yaml:9:7)",
    ],
    [
      "no call",
      change("      call: Orn\n", ""),
      "a turn before the last one needs a call (d.yaml:4:7)",
    ],
    [
      "no observation",
      good.replace(/ {6}observation[^]*?land\.\n/, ""),
      "call and observation go together (d.yaml:4:7)",
    ],
    [
      "a call at the end",
      change("on the Sil.\n  answer", "x.\n      call: y\n  answer"),
      "the last turn answers, without a call (d.yaml:9:7)",
    ],
    ["an id twice", good + good, 'the id "a" is used twice (d.yaml:11:3)'],
    ["an empty thought", change("I look it up.", "' '"), "(d.yaml:4:7)"],
    ["no list", "id: a\n", "expected array, received object (d.yaml:1:1)"],
    ["nothing", "[]", "no demonstrations (d.yaml:1:1)"],
    ["no YAML", "- id: [", "(d.yaml:1:"],
  ];
  test.each(table)("%s", async (_claim, yaml, line) => {
    expect(await refusal(() => parseDemonstrations(yaml, "d.yaml"))).toContain(line);
  });
});

describe("demonstrations are found", () => {
  test("by name, inside the executable, with varied depth", () => {
    const { demonstrations } = openDemonstrations("search");
    const searches = demonstrations.map(({ turns }) => turns.length - 1);
    expect(searches.slice(0, 3).toSorted()).toEqual([1, 2, 3]);
  });
  test("as a file", () => {
    using folder = dataFolder();
    expect(openDemonstrations(folder.write("d.yaml", good)).demonstrations.length).toBe(1);
  });
  test("or refused with what there is", async () => {
    expect(await refusal(() => openDemonstrations("serach"))).toBe(
      'unknown demonstrations "serach" (demonstrations) - did you mean "search"?',
    );
    expect(await refusal(() => openDemonstrations("x.yaml"))).toMatch(
      /^there is no file "x.yaml" \(demonstrations\) - known: search/,
    );
  });
});
