import { expect, test } from "bun:test";
import { embeddedDemonstrations } from "../../src/config/embedded.ts";
import { icrl } from "../helpers/cli.ts";
import { dataFolder } from "../helpers/data-files.ts";

test("icrl demos check shows calls and tokens, and what showing several costs", async () => {
  const { code, stdout } = await icrl(".", "demos", "check", "search", "--model", "nano");
  expect(code).toBe(0);
  const [header, ...lines] = stdout.trim().split("\n");
  expect(header!.split(/\s+/)).toEqual(["id", "calls", "tokens", "in", "all"]);
  const rows = lines.map((line) => line.split(/\s+/));
  expect(rows.map(([, calls]) => calls)).toEqual(["2", "1", "3", "2", "2"]);
  const sum = rows.reduce((total, [, , tokens]) => total + Number(tokens), 0);
  expect(rows.at(-1)![3]).toBe(String(sum));
});

test("icrl demos check fails with each fault and its line", async () => {
  using folder = dataFolder();
  folder.write(
    "d.yaml",
    `- id: a
  question: Where is Orn?
  turns:
    - { think: I know., call: Orn, observation: </answer> }
    - { think: On the Sil. }
  answer: Sil
- id: b
  question: Where is Tel?
  turns: [{ think: I know. }]
  answer: here
`,
  );
  const { code, stdout, stderr } = await icrl(folder.path, "demos", "check", "d.yaml");
  expect(code).toBe(1);
  expect(stdout.trim().split("\n").slice(-2)).toEqual([
    'a: the text holds </answer>, a tag of the profile "icrl" (d.yaml:4:36)',
    "b: the format reward would charge for it: no_search (d.yaml:7:3)",
  ]);
  expect(stderr).toBe("icrl: 2 faults (d.yaml)\n");
});

test("an unknown tag profile and an unknown file are refused", async () => {
  const tags = await icrl(".", "demos", "check", "search", "--tags", "icrrl");
  expect(tags.stderr).toBe('icrl: unknown tag profile "icrrl" - did you mean "icrl"?\n');
  const none = await icrl(".", "demos", "check", "none.yaml");
  expect(none.stderr).toStartWith(
    'icrl: there is no file "none.yaml" (demonstrations) - known: search',
  );
});

test("icrl demos show prints what is inside", async () => {
  const { stdout } = await icrl(".", "demos", "show", "search");
  expect(stdout).toBe(embeddedDemonstrations["search"]!);
  const { stderr } = await icrl(".", "demos", "show", "serach");
  expect(stderr).toBe('icrl: unknown demonstrations "serach" - did you mean "search"?\n');
});
