import { expect, test } from "bun:test";
import { callTool, InvalidCallError, refusedCall, type Tool } from "../../src/tools/tool.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { toolOf } from "../helpers/tools.ts";

const policy = { deadlineMs: 100, retries: 2, backoffMs: 10 };

async function play(tool: Tool) {
  const clock = new ManualClock();
  const pending = callTool(tool, "q", policy, { clock, jitter: () => 1 });
  await clock.runAll();
  return { call: await pending, clock };
}

test("a tool that answers at once is one attempt and starts no timer", async () => {
  const clock = new ManualClock();
  const call = await callTool(
    toolOf((input) => `found ${input}`),
    "q",
    policy,
    { clock, jitter: () => 1 },
  );
  const result = { ok: true, text: "found q" } as const;
  expect(call).toEqual({ tool: "search", input: "q", result, latencyMs: 0, attempts: 1 });
  expect(clock.numScheduled).toBe(0);
});

test("an answer before the deadline leaves no timer behind", async () => {
  const clock = new ManualClock();
  const call = await callTool(
    toolOf(async () => "late but fine"),
    "q",
    policy,
    { clock, jitter: () => 1 },
  );
  expect(call.result).toEqual({ ok: true, text: "late but fine" });
  expect(clock.numScheduled).toBe(0);
});

test("each attempt of a tool that never answers times out and is aborted", async () => {
  const signals: AbortSignal[] = [];
  const { call } = await play(
    toolOf((_, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    }),
  );
  expect(call.result).toMatchObject({ ok: false, reason: "timeout" });
  expect(call.attempts).toBe(3);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  expect(call.latencyMs).toBe(100 + 10 + 100 + 20 + 100); // the pause doubles
});

test("a failure that passes is retried", async () => {
  let attempts = 0;
  const { call } = await play(
    toolOf(() => {
      attempts++;
      if (attempts < 3) throw new Error("connection refused");
      return "third time";
    }),
  );
  expect(call.result).toEqual({ ok: true, text: "third time" });
  expect(call.attempts).toBe(3);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("/secret/path: boom");
    },
  ],
  ["rejects", () => Promise.reject(new Error("/secret/path: boom"))],
  [
    "throws what is no error",
    () => {
      throw "/secret/path: boom";
    },
  ],
] as const)(
  "a tool that %s gives a typed failure without its cause for the policy",
  async (_, call) => {
    const { call: made } = await play(toolOf(call as Tool["call"]));
    const text = "Error: search failed.";
    expect(made.result).toEqual({ ok: false, reason: "error", text, detail: "/secret/path: boom" });
    expect(made.attempts).toBe(3);
  },
);

test("a wrong call is not tried again and tells the policy what is wrong", async () => {
  const { call } = await play(
    toolOf(() => {
      throw new InvalidCallError("the search query is empty.");
    }),
  );
  expect(call.attempts).toBe(1);
  expect(call.result).toMatchObject({
    reason: "invalid_call",
    text: "Error: the search query is empty.",
  });
});

test("a rejection after the deadline goes nowhere", async () => {
  const late = Promise.withResolvers<string>();
  const { call } = await play(toolOf(() => late.promise));
  late.reject(new Error("too late"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(call.result).toMatchObject({ reason: "timeout" });
});

test("a call to a tool that does not exist is a failure that names it", () => {
  const call = refusedCall("calculator", "1 + 1", "unknown_tool", "known: search");
  expect(call.result).toMatchObject({
    ok: false,
    text: "Error: there is no tool named calculator.",
  });
});
