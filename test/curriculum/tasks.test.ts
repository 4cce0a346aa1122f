import { describe, expect, test } from "bun:test";
import {
  chooseDemonstrations,
  demonstrationsForShots,
} from "../../src/curriculum/demonstrations.ts";
import { TaskOrder } from "../../src/curriculum/task-order.ts";
import type { Demonstration } from "../../src/types.ts";

describe("task order", () => {
  const ten = [{ size: 10, weight: 10, key: "" }];
  test("each epoch asks every task once, in an order of its own", () => {
    const order = new TaskOrder(ten, 7);
    const epochs = [order.next(10), order.next(10)];
    for (const epoch of epochs) {
      expect(epoch.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    expect(epochs[0]).not.toEqual(epochs[1]!);
  });

  test("a restored order goes on where it was saved, across an epoch's end", () => {
    const whole = new TaskOrder(ten, 7).next(25);
    const first = new TaskOrder(ten, 7);
    const head = first.next(8);
    const saved = JSON.parse(JSON.stringify(first.save()));
    expect([...head, ...TaskOrder.restore(ten, 7, saved).next(17)]).toEqual(whole);
  });

  test("another seed gives another order", () => {
    expect(new TaskOrder(ten, 1).next(50)).not.toEqual(new TaskOrder(ten, 2).next(50));
  });

  describe("of several parts", () => {
    const parts = [
      { size: 100, weight: 1, key: "a" },
      { size: 6, weight: 3, key: "b" },
    ];
    test("gives each its share in every stretch, and passes through each by itself", () => {
      const drawn = new TaskOrder(parts, 7).next(40);
      for (let start = 0; start < 40; start += 4) {
        const stretch = drawn.slice(start, start + 4);
        expect(stretch.filter((index) => index < 100).length).toBe(1);
      }
      const second = drawn.filter((index) => index >= 100);
      for (const pass of [second.slice(0, 6), second.slice(6, 12)]) {
        expect(pass.toSorted()).toEqual([100, 101, 102, 103, 104, 105]);
      }
    });
    test("goes on where it was saved", () => {
      const whole = new TaskOrder(parts, 7).next(90);
      const first = new TaskOrder(parts, 7);
      const head = first.next(37);
      const saved = JSON.parse(JSON.stringify(first.save()));
      expect([...head, ...TaskOrder.restore(parts, 7, saved).next(53)]).toEqual(whole);
    });
    test("refuses to go on with other tasks", () => {
      const saved = new TaskOrder(parts, 7).save();
      expect(() => TaskOrder.restore(ten, 7, saved)).toThrow(
        "the data has 10 questions, and had 100 + 6",
      );
      const changed = [parts[0]!, { ...parts[1]!, key: "c" }];
      expect(() => TaskOrder.restore(changed, 7, saved)).toThrow(
        "the data has other questions than it had",
      );
    });
  });
});

describe("demonstrations", () => {
  const source: Demonstration[] = ["a", "b", "c"].map((id) => {
    return { id, question: `${id}?`, turns: [], answer: id };
  });
  const ids = (chosen: readonly Demonstration[]): string => chosen.map(({ id }) => id).join("");

  test("the first of the source are shown where none are named", () => {
    expect(ids(chooseDemonstrations({ shots: 2 }, source))).toBe("ab");
  });
  test("named ones are shown in the order named", () => {
    expect(ids(chooseDemonstrations({ shots: 2, demos: ["c", "a"] }, source))).toBe("ca");
  });
  test("an evaluation shows what the stage with as many shots shows", () => {
    const stages = [{ shots: 1, demos: ["c"] }, { shots: 0 }];
    expect(ids(demonstrationsForShots(1, stages, source))).toBe("c");
    expect(ids(demonstrationsForShots(2, stages, source))).toBe("ab");
  });
  test("an unknown id and more shots than there are demonstrations are refused", () => {
    expect(() => chooseDemonstrations({ shots: 1, demos: ["d"] }, source)).toThrow('"d"');
    expect(() => chooseDemonstrations({ shots: 4 }, source)).toThrow("4 demonstrations are wanted");
  });
});
