import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { icrl, icrlIn } from "../helpers/cli.ts";
import { dataFolder, type DataFolder } from "../helpers/data-files.ts";
import { openCpu } from "../helpers/engine.ts";
import { tinyRecipe, writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(240_000);

let folder: DataFolder;
beforeAll(() => {
  openCpu()[Symbol.dispose](); // one thread
  folder = dataFolder();
  folder.write("tiny.yaml", tinyRecipe(writeTinyModel(folder.path)));
});
afterAll(() => folder[Symbol.dispose]());

const tiny = ["--recipe", "tiny.yaml"];

test("the recipe's model is asked with the most demonstrations of its stages", async () => {
  const done = await icrl(folder.path, "ask", "Who founded Orn?", ...tiny);
  expect([done.code, done.stderr]).toEqual([0, ""]);
  expect(done.stdout).toStartWith("tiny.yaml, 1 demonstration, tools: search\n");
  expect(done.stdout).toMatch(
    /\nended by \w+: 1 turn, 0 tool calls, \d tokens? in [\d.]+ s, \d+ tokens\/s\nno answer\n$/,
  );
});

test("a seed names the answer, and the text is that of the tokens", async () => {
  const asked = (...more: string[]) => icrl(folder.path, "ask", "Who?", ...tiny, "--json", ...more);
  const texts = ({ stdout }: { stdout: string }): string =>
    stdout
      .split("\n")
      .filter((line) => line.startsWith('{"type":"text"'))
      .join("\n");
  const all = await Promise.all([asked(), asked("--seed", "1"), asked("--seed", "7")]);
  expect(texts(all[1]!)).toBe(texts(all[0]!));
  expect(texts(all[2]!)).not.toBe(texts(all[0]!));
});

test("without a name, the newest run is asked, as its last stage was trained", async () => {
  await icrl(folder.path, "run", "stage1", ...tiny, "--run", "runs/a", "--set", "eval.limit=1");
  const question = "Who is the ruler of Orn?";
  const done = await icrlIn({ cwd: folder.path, stdin: question }, ["ask", "--json"]);
  const start = { type: "start", policy: "runs/a@stage1", step: 2, shots: 1, question };
  expect(JSON.parse(done.stdout.split("\n")[0]!)).toMatchObject(start);
});

describe("is refused:", () => {
  const table: readonly [args: string[], code: number, message: string][] = [
    [[], 2, 'the question is empty - icrl ask "Who founded Orn?"'],
    [[" "], 2, "the question is empty"],
    [["Who?", "--run", "a", "--model", "b"], 2, "give either --run or --model"],
    [["Who?", "--run", "a", ...tiny], 2, "a run has its own recipe"],
    [["Who?", "--run", "none"], 1, "there is no run here (none)"],
    [["Who?", "--temperature", "-1"], 2, '"-1" is no value for --temperature - 0, or 0.01 to 100'],
    [["Who?", "--shots", "9", ...tiny], 1, "9"],
    [["Who?", "--device", "gpu"], 2, 'there is no device "gpu"'],
  ];
  test.each(table)("%j", async (args, code, message) => {
    const done = await icrl(folder.path, "ask", ...args);
    expect(done.stderr).toContain(`icrl: `);
    expect(done.stderr).toContain(message);
    expect([done.code, done.stdout]).toEqual([code, ""]);
  });
});
