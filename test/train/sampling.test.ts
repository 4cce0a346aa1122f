import { describe, expect, test } from "bun:test";
import { ScoringError } from "../../src/reward/scoring-error.ts";
import { sampleGroups, type Sampler } from "../../src/train/sampling.ts";
import type { Reward, Task } from "../../src/types.ts";
import { byteTokenizer } from "../helpers/byte-tokenizer.ts";
import { promptOf, settings } from "../helpers/rollouts.ts";
import { ScriptedEngine } from "../helpers/scripted-engine.ts";
import { toolboxOf, toolOf } from "../helpers/tools.ts";

const REWARD: Reward = { total: 1, components: { em: 1 } };
const task = (id: string): Task => ({ id, question: id, golds: ["x"], meta: {} });
const request = {
  tasks: [task("quick"), task("slow")],
  template: { render: (question: string) => promptOf(`${question}\n`) },
  samplesPerTask: 1,
  label: "1",
  firstStream: 0,
};
const quick = byteTokenizer.encode("<answer> a </answer>");
const slow = byteTokenizer.encode("<search> q </search><answer> b </answer>");
const engine = (): ScriptedEngine => new ScriptedEngine((group) => (group === 0 ? quick : slow));

describe("sampleGroups", () => {
  test("scores a rollout when it ends, while another waits for its tool", async () => {
    const scored: string[] = [];
    const first = Promise.withResolvers<void>();
    const toolbox = toolboxOf(
      [
        toolOf(async () => {
          await first.promise; // the other rollout has been scored: else this would never end
          return "found";
        }),
      ],
      { policy: { deadlineMs: 60_000, retries: 0, backoffMs: 1 } },
    );
    const scorer: Sampler["scorer"] = {
      score({ id }) {
        scored.push(id!);
        first.resolve();
        return Promise.resolve({ ...REWARD, total: scored.length });
      },
    };
    const sampler = { engine: engine(), settings: settings({ toolbox }), scorer };
    const { groups } = await sampleGroups(sampler, request);
    expect(scored).toEqual(["quick", "slow"]);
    // Rewards are with their rollouts, groups in the order of the tasks.
    expect(groups.map(({ samples }) => samples[0]!.reward.total)).toEqual([1, 2]);
    expect(groups.map(({ samples }) => samples[0]!.rollout.task.id)).toEqual(["quick", "slow"]);
  });

  test("tells the scorer what was asked, written and called", async () => {
    const seen: object[] = [];
    const scorer: Sampler["scorer"] = {
      score(text) {
        seen.push(text);
        return Promise.resolve(REWARD);
      },
    };
    await sampleGroups({ engine: engine(), settings: settings(), scorer }, request);
    expect(seen.find((text) => "id" in text && text.id === "slow")).toMatchObject({
      prompt: "slow\n",
      question: "slow",
      policyText: "<search> q </search><answer> b </answer>",
      response: expect.stringContaining("found q"),
      golds: ["x"],
      executionFailed: false,
      toolCalls: [{ tool: "search", input: "q" }],
    });
  });

  test("fails where one rollout can't be scored, and by then all sequences are closed", async () => {
    const scorer: Sampler["scorer"] = {
      score: ({ id }) =>
        id === "quick"
          ? Promise.reject(new ScoringError("no", { task: id }))
          : Promise.resolve(REWARD),
    };
    const own = engine();
    const sampling = sampleGroups({ engine: own, settings: settings(), scorer }, request);
    await expect(sampling).rejects.toThrow("no reward for task quick: no");
    expect(own.openSequences.size).toBe(0);
  });
});

describe("the last execution failed", () => {
  const failures = [
    [{ ok: true, text: "Error", executionFailed: true } as const, true],
    [{ ok: true, text: "1" } as const, false],
    [{ ok: false, reason: "timeout", text: "", detail: "" } as const, true],
    [{ ok: false, reason: "unavailable", text: "", detail: "" } as const, false],
    [{ ok: false, reason: "error", text: "", detail: "" } as const, false],
  ] as const;
  test.each(failures)("%j: %j", async (result, failed) => {
    const { textOfRollout } = await import("../../src/reward/rollout-text.ts");
    const { groups } = await sampleGroups(
      { engine: engine(), settings: settings(), scorer: { score: () => Promise.resolve(REWARD) } },
      request,
    );
    const { rollout } = groups[1]!.samples[0]!;
    const call = { tool: "python", input: "", result, latencyMs: 1, attempts: 1 };
    const turns = [{ ...rollout.turns[0]!, toolCalls: [call] }];
    expect(textOfRollout({ ...rollout, turns }, "").executionFailed).toBe(failed);
  });
});
