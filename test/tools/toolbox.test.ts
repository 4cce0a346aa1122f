import { describe, expect, test } from "bun:test";
import { InvalidCallError, POLICY_TEXTS, TryLaterError, type Tool } from "../../src/tools/tool.ts";
import type { ToolLimits, ToolboxOptions } from "../../src/tools/toolbox.ts";
import type { ToolFailure } from "../../src/types.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { toolboxOf, toolOf } from "../helpers/tools.ts";

const policy = { deadlineMs: 100, retries: 0, backoffMs: 10 };

function boxOf(call: Tool["call"], limits: Partial<ToolLimits> = {}, options?: ToolboxOptions) {
  const clock = new ManualClock();
  return { clock, box: toolboxOf([toolOf(call)], { policy, ...limits }, { clock, ...options }) };
}

const fails = (): never => {
  throw new Error("down");
};
const sleepFor = (clock: ManualClock, ms: number): Promise<string> =>
  new Promise((resolve) => void clock.schedule(ms, () => resolve("done")));

test("what the policy reads of each failure", () => {
  const table: Readonly<Record<ToolFailure, string>> = {
    timeout: "Error: search took too long.",
    error: "Error: search failed.",
    invalid_call: "Error: the query is empty.",
    unknown_tool: "Error: there is no tool named search.",
    unavailable: "Error: search is not available now.",
  };
  for (const [reason, text] of Object.entries(table)) {
    expect(POLICY_TEXTS[reason as ToolFailure]("search", "the query is empty.")).toBe(text);
  }
  expect(Object.keys(POLICY_TEXTS).toSorted()).toEqual(Object.keys(table).toSorted());
});

test("an unknown tool is a failure that names those there are", async () => {
  const box = toolboxOf([toolOf(() => "", "search"), toolOf(() => "", "python")]);
  const { result } = await box.call("pyton", "1");
  expect(result).toMatchObject({ reason: "unknown_tool", detail: "known: search, python" });
});

test("names, tags and limits on observations are each tool's own", () => {
  const box = toolboxOf([toolOf(() => "", "search"), toolOf(() => "", "python")]);
  expect(box.tools.map(({ name }) => name)).toEqual(["search", "python"]);
  expect(box.tags).toEqual([
    { name: "search", tag: "search" },
    { name: "python", tag: "python" },
  ]);
  expect(box.maxObservationTokens("python")).toBe(80);
});

describe("the limit on calls at the same time", () => {
  test("is kept, and those that wait are served in order", async () => {
    const [served, clock] = [[] as string[], new ManualClock()];
    let [running, most] = [0, 0];
    const tool = toolOf(async (input) => {
      most = Math.max(most, ++running);
      served.push(input);
      await sleepFor(clock, 10);
      running--;
      return input;
    });
    const box = toolboxOf([tool], { policy, concurrency: 2 }, { clock });
    const inputs = ["a", "b", "c", "d", "e"];
    const calls = inputs.map((input) => box.call("search", input));
    await clock.runAll();
    expect((await Promise.all(calls)).map(({ result }) => result.text)).toEqual(inputs);
    expect(served).toEqual(inputs);
    expect(most).toBe(2);
  });

  test("costs waiting time, which no deadline counts", async () => {
    const clock = new ManualClock();
    const tool = toolOf(() => sleepFor(clock, 80));
    const box = toolboxOf([tool], { policy, concurrency: 1 }, { clock });
    const calls = ["a", "b", "c"].map((input) => box.call("search", input));
    await clock.runAll();
    const made = await Promise.all(calls);
    expect(made.every(({ result }) => result.ok)).toBe(true); // the third waited 160 of 100 ms
    expect(made.map(({ latencyMs }) => latencyMs)).toEqual([80, 160, 240]);
  });
});

describe("pauses before retries", () => {
  async function pauses(seed: number, error: () => Error): Promise<number[]> {
    const starts: number[] = [];
    const clock = new ManualClock();
    const tool = toolOf(() => {
      starts.push(clock.now());
      throw error();
    });
    const box = toolboxOf([tool], { policy: { ...policy, retries: 3 } }, { clock, seed });
    const call = box.call("search", "q");
    await clock.runAll();
    await call;
    return starts.slice(1).map((start, i) => start - starts[i]!);
  }

  test("double, vary by a quarter, and are the same for the same seed", async () => {
    const down = () => new Error("down");
    const first = await pauses(1, down);
    expect(first.length).toBe(3);
    first.forEach((pause, i) => {
      expect(pause).toBeGreaterThanOrEqual(0.75 * 10 * 2 ** i);
      expect(pause).toBeLessThanOrEqual(1.25 * 10 * 2 ** i);
    });
    expect(await pauses(1, down)).toEqual(first);
    expect(await pauses(2, down)).not.toEqual(first);
  });

  test("are as long as a busy server asks for, but not forever", async () => {
    expect(await pauses(1, () => new TryLaterError("busy", 5000))).toEqual([5000, 5000, 5000]);
    expect(await pauses(1, () => new TryLaterError("busy", 3_600_000))).toEqual([]);
  });

  test("do not come for calls that are wrong", async () => {
    expect(await pauses(1, () => new InvalidCallError("empty"))).toEqual([]);
  });
});

describe("the circuit breaker", () => {
  const breaker = { failures: 3, cooldownMs: 1000 };

  async function reasons(box: ReturnType<typeof toolboxOf>, count: number): Promise<string[]> {
    const made: string[] = [];
    for (let i = 0; i < count; i++) {
      const { result } = await box.call("search", `${i}`);
      made.push(result.ok ? "ok" : result.reason);
    }
    return made;
  }

  test("opens after so many failures in a row, and then asks nobody", async () => {
    let asked = 0;
    const { box } = boxOf(
      () => {
        asked++;
        return fails();
      },
      { breaker },
    );
    const refused = ["unavailable", "unavailable"];
    expect(await reasons(box, 5)).toEqual(["error", "error", "error", ...refused]);
    expect(asked).toBe(3);
    expect(box.figures()[0]).toMatchObject({
      calls: 5,
      failures: { error: 3, unavailable: 2 },
      breaker: "open",
    });
  });

  test("counts from anew after a success, and not what is the call's fault", async () => {
    const outcomes = ["error", "error", "ok", "error", "error", "invalid_call", "ok"];
    let next = 0;
    const { box } = boxOf(
      () => {
        const outcome = outcomes[next++];
        if (outcome === "invalid_call") throw new InvalidCallError("no");
        return outcome === "ok" ? "fine" : fails();
      },
      { breaker },
    );
    expect(await reasons(box, outcomes.length)).toEqual(outcomes);
  });

  test("asks once after the pause: that closes it, or opens it again", async () => {
    let works = false;
    const { box, clock } = boxOf(() => (works ? "fine" : fails()), { breaker });
    const cool = async (): Promise<void> => {
      const waited = sleepFor(clock, 1000);
      await clock.runAll();
      await waited;
    };
    await reasons(box, 3);
    await cool();
    expect(await reasons(box, 2)).toEqual(["error", "unavailable"]);
    works = true;
    await cool();
    expect(await reasons(box, 3)).toEqual(["ok", "ok", "ok"]);
    expect(box.figures()[0]!.breaker).toBe("closed");
  });

  test("lets one call through at a time while it tries", async () => {
    const clock = new ManualClock();
    const waiting = [Promise.withResolvers<string>()];
    let isDown = true;
    const tool = toolOf(() => (isDown ? fails() : waiting[0]!.promise));
    const box = toolboxOf([tool], { policy, breaker }, { clock });
    await reasons(box, 3);
    const waited = sleepFor(clock, 1000);
    await clock.runAll();
    await waited;
    isDown = false;
    const probe = box.call("search", "probe");
    const other = await box.call("search", "other");
    expect(other.result).toMatchObject({ ok: false, reason: "unavailable" });
    waiting[0]!.resolve("back");
    expect((await probe).result.ok).toBe(true);
  });

  test("is told of once, with the last cause", async () => {
    const { box } = boxOf(fails, { breaker });
    expect(box.warnings()).toEqual([]);
    await reasons(box, 4);
    const text =
      "tool search failed 3 times in a row and is not asked for a while, then once every 1 s: down";
    expect(box.warnings()).toEqual([text]);
    await reasons(box, 4);
    expect(box.warnings()).toEqual([]);
  });
});

describe("figures", () => {
  test("since a mark are of the calls between", async () => {
    const clock = new ManualClock();
    const tool = toolOf((input) => sleepFor(clock, Number(input)));
    const limits = { policy: { deadlineMs: 500, retries: 1, backoffMs: 10 } };
    const box = toolboxOf([tool], limits, { clock });
    const callAll = async (inputs: readonly string[]): Promise<void> => {
      const calls = inputs.map((input) => box.call("search", input));
      await clock.runAll();
      await Promise.all(calls);
    };
    await callAll(["1000", "20"]);
    const mark = box.mark();
    await callAll(["40", "40", "80"]);
    expect(box.figures(mark)[0]).toMatchObject({ calls: 3, failures: {}, retries: 0, recorded: 0 });
    expect(box.figures()[0]).toMatchObject({ calls: 5, failures: { timeout: 1 }, retries: 1 });
    const { p50Ms, p99Ms } = box.figures(mark)[0]!;
    expect(Math.abs(p50Ms - 40) / 40).toBeLessThan(0.05);
    expect(Math.abs(p99Ms - 80) / 80).toBeLessThan(0.05);
  });
});

test("a toolbox closes its tools", async () => {
  const closed: string[] = [];
  const tool = (name: string): Tool => ({
    ...toolOf(() => "", name),
    [Symbol.asyncDispose]: async () => void closed.push(name),
  });
  await toolboxOf([tool("a"), tool("b")])[Symbol.asyncDispose]();
  expect(closed).toEqual(["a", "b"]);
});

test("a toolbox has tools, of different names", () => {
  expect(() => toolboxOf([])).toThrow(RangeError);
  expect(() => toolboxOf([toolOf(() => ""), toolOf(() => "")])).toThrow("the same name");
});
