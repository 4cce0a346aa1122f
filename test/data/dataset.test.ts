import { describe, expect, test } from "bun:test";
import { almanac } from "../../src/data/almanac.ts";
import { type Dataset, loadDataset } from "../../src/data/dataset.ts";
import { dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

const rows = (prefix: string, count: number): string =>
  jsonl(Array.from({ length: count }, (_, i) => ({ question: `${prefix}${i}`, answer: "a" })));
const asked = (tasks: readonly { readonly question: string }[]): string[] =>
  tasks.map(({ question }) => question);
const trained = ({ parts }: Dataset): string[] => parts.flatMap(({ tasks }) => asked(tasks));

describe("held-out questions", () => {
  test("are no training questions, and do not depend on the order of the rows", async () => {
    using folder = dataFolder();
    const text = rows("q", 100);
    const forward = folder.write("x.jsonl", text);
    const backward = folder.write("y.jsonl", text.trim().split("\n").reverse().join("\n"));
    const one = await loadDataset({ train: [{ path: forward }] });
    const other = await loadDataset({ train: [{ path: backward }] });
    expect(one.validation.length).toBe(10); // a tenth
    expect(asked(other.validation)).toEqual(asked(one.validation));
    const held = new Set(asked(one.validation));
    expect(trained(one).filter((each) => held.has(each))).toEqual([]);
    expect(trained(one).length).toBe(90);
  });

  test("may be counted by the recipe, and leave something to train on", async () => {
    using folder = dataFolder();
    const train = [{ path: folder.write("x.jsonl", rows("q", 20)) }];
    const dataset = await loadDataset({ train, holdout: 15 });
    expect([trained(dataset).length, dataset.validation.length]).toEqual([5, 15]);
    expect(await refusal(() => loadDataset({ train, holdout: 20 }), folder)).toBe(
      "no training question is left (x.jsonl) - train on other questions than those held out, " +
        "or hold out fewer (data.holdout)",
    );
  });

  test("of a file of their own are taken out of the training questions, and counted", async () => {
    using folder = dataFolder();
    const train = folder.write("train.jsonl", rows("Q", 10));
    const held = folder.write("test.jsonl", rows("q", 3));
    const dataset = await loadDataset({ train: [{ path: train }], validation: [{ path: held }] });
    expect(trained(dataset)).toEqual(["Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9"]);
    expect(asked(dataset.validation)).toEqual(["q0", "q1", "q2"]);
    expect(dataset.dropped).toEqual({ repeated: 0, heldOut: 3 });
  });
});

describe("several sources", () => {
  const sizes = ({ parts }: Dataset) =>
    parts.map(({ name, tasks, weight }) => [name, tasks.length, weight]);

  test("keep their weights, and their ids never collide", async () => {
    using folder = dataFolder();
    const paths = ["a/set/x.jsonl", "b/set/x.jsonl"].map((name, i) =>
      folder.write(name, rows(`${i}-`, 4 + i)),
    );
    const validation = [{ path: folder.write("v.jsonl", rows("v", 1)) }];
    const train = paths.map((path, i) => ({ path, weight: i + 1 }));
    const dataset = await loadDataset({ train, validation });
    expect(sizes(dataset)).toEqual([
      ["set/x", 4, 1],
      ["set/x-2", 5, 2],
    ]);
    const ids = dataset.parts.flatMap(({ tasks }) => tasks.map(({ id }) => id));
    expect(new Set(ids).size).toBe(9);
  });

  test("without weights count by their size, and what both ask is asked once", async () => {
    using folder = dataFolder();
    const train = [4, 6].map((n, i) => ({ path: folder.write(`s/${i}.jsonl`, rows("same", n)) }));
    const validation = [{ path: folder.write("v.jsonl", rows("v", 1)) }];
    const dataset = await loadDataset({ train, validation });
    expect(sizes(dataset)).toEqual([
      ["s/0", 4, 4],
      ["s/1", 2, 2],
    ]);
    expect(dataset.dropped.repeated).toBe(4);
  });

  test("take turns in the validation, so that its beginning is of all of them", async () => {
    using folder = dataFolder();
    const train = [{ path: folder.write("t.jsonl", rows("t", 1)) }];
    const validation = ["a", "b"].map((name, i) => {
      return { path: folder.write(`${name}.jsonl`, rows(name, 1 + 2 * i)) };
    });
    const { validation: tasks } = await loadDataset({ train, validation });
    expect(asked(tasks)).toEqual(["a0", "b0", "b1", "b2"]);
  });
});

test("the almanac is a source, in its own order, and holds its own questions out", async () => {
  const train = [{ path: "almanac" }];
  const world = almanac();
  for (const spec of [{ train, validation: train }, { train }]) {
    const { parts, validation } = await loadDataset(spec);
    expect(parts).toEqual([{ name: "almanac", tasks: world.train, weight: 2400 }]);
    expect(validation).toEqual(world.validation);
  }
});
