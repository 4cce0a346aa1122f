import { describe, expect, test } from "bun:test";
import { almanac } from "../../src/data/almanac.ts";
import { loadDataset } from "../../src/data/dataset.ts";
import { dataFolder, jsonl, refusal } from "../helpers/data-files.ts";

const rows = (prefix: string, count: number): string =>
  jsonl(
    Array.from({ length: count }, (_, i) => ({
      question: `${prefix}${i}`,
      answer: "a",
    })),
  );
const asked = (tasks: readonly { readonly question: string }[]): string[] =>
  tasks.map(({ question }) => question);

describe("held-out questions", () => {
  test("are no training questions, and do not depend on the order of the rows", async () => {
    using folder = dataFolder();
    const text = rows("q", 100);
    const forward = folder.write("x.jsonl", text);
    const backward = folder.write("y.jsonl", text.trim().split("\n").reverse().join("\n"));
    const [one, other] = [
      await loadDataset({ train: [{ path: forward }] }),
      await loadDataset({ train: [{ path: backward }] }),
    ];
    expect(one.validation.length).toBe(10); // a tenth
    expect(asked(other.validation)).toEqual(asked(one.validation));
    expect(asked(one.train).filter((each) => asked(one.validation).includes(each))).toEqual([]);
    expect(one.train.length).toBe(90);
  });

  test("may be counted by the recipe, and leave something to train on", async () => {
    using folder = dataFolder();
    const path = folder.write("x.jsonl", rows("q", 20));
    const { train, validation } = await loadDataset({
      train: [{ path }],
      holdout: 15,
    });
    expect([train.length, validation.length]).toEqual([5, 15]);
    expect(await refusal(() => loadDataset({ train: [{ path }], holdout: 20 }), folder)).toBe(
      "no training question is left (x.jsonl) - train on other questions than those held out, " +
        "or hold out fewer (data.holdout)",
    );
  });

  test("of a file of their own are taken out of the training questions, and counted", async () => {
    using folder = dataFolder();
    const train = folder.write("train.jsonl", rows("Q", 10));
    const held = folder.write("test.jsonl", rows("q", 3));
    const spec = { train: [{ path: train }], validation: [{ path: held }] };
    const { train: left, validation, dropped } = await loadDataset(spec);
    expect(asked(left)).toEqual(["Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9"]);
    expect(asked(validation)).toEqual(["q0", "q1", "q2"]);
    expect(dropped).toEqual({ repeated: 0, heldOut: 3 });
  });
});

describe("several sources", () => {
  test("lie next to each other, with ids that never collide and their weights", async () => {
    using folder = dataFolder();
    const paths = ["a/set/x.jsonl", "b/set/x.jsonl"].map((name, i) =>
      folder.write(name, rows(`${i}-`, 4 + i)),
    );
    const validation = [{ path: folder.write("v.jsonl", rows("v", 1)) }];
    const train = paths.map((path, i) => ({ path, weight: i + 1 }));
    const { train: tasks, parts } = await loadDataset({ train, validation });
    expect(parts).toEqual([
      { size: 4, weight: 1 },
      { size: 5, weight: 2 },
    ]);
    expect(asked(tasks.slice(0, 4))).toEqual(["0-0", "0-1", "0-2", "0-3"]);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(9);
  });

  test("without weights count by their size, and what both ask is asked once", async () => {
    using folder = dataFolder();
    const train = [4, 6].map((n, i) => ({
      path: folder.write(`${i}.jsonl`, rows("same", n)),
    }));
    const validation = [{ path: folder.write("v.jsonl", rows("v", 1)) }];
    const { parts, dropped } = await loadDataset({ train, validation });
    expect(parts).toEqual([
      { size: 4, weight: 4 },
      { size: 2, weight: 2 },
    ]);
    expect(dropped.repeated).toBe(4);
  });

  test("take turns in the validation, so that its beginning is of all of them", async () => {
    using folder = dataFolder();
    const train = [{ path: folder.write("t.jsonl", rows("t", 1)) }];
    const validation = ["a", "b"].map((name, i) => ({
      path: folder.write(`${name}.jsonl`, rows(name, 1 + 2 * i)),
    }));
    const { validation: tasks } = await loadDataset({ train, validation });
    expect(asked(tasks)).toEqual(["a0", "b0", "b1", "b2"]);
  });
});

test("the almanac is a source, in its own order", async () => {
  const spec = [{ path: "almanac" }];
  const { train, validation, parts } = await loadDataset({
    train: spec,
    validation: spec,
  });
  const world = almanac();
  expect(train).toEqual(world.train);
  expect(validation).toEqual(world.validation);
  expect(parts).toEqual([{ size: 2400, weight: 2400 }]);
});
