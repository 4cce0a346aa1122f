import { expect, test } from "bun:test";
import type { FinishReason, Rollout } from "../../src/types.ts";
import type { RolloutSettings } from "../../src/rollout/rollout.ts";
import { rolloutGroups } from "../../src/rollout/batch.ts";
import { rollOut, type RolloutWatch } from "../../src/rollout/rollout.ts";
import { Role } from "../../src/types.ts";
import { byteTokenizer, EOS } from "../helpers/byte-tokenizer.ts";
import { promptOf, request, settings, task } from "../helpers/rollouts.ts";
import { ScriptedEngine } from "../helpers/scripted-engine.ts";
import { toolboxOf, toolOf } from "../helpers/tools.ts";

const { limits } = settings();
const filler = "x".repeat(300);

interface Case {
  readonly script: string | readonly number[];
  readonly change?: Partial<RolloutSettings>;
}

async function play({ script, change = {} }: Case): Promise<Rollout> {
  const ids = typeof script === "string" ? byteTokenizer.encode(script) : script;
  const engine = new ScriptedEngine(() => ids);
  const { rollout, transcript } = await rollOut(engine, request(), settings(change));
  expect(engine.openSequences.size).toBe(0);
  expect(rollout.tokens_L).toEqual(transcript.tokens_L);
  expect(policyMask(rollout)).toEqual(transcript.sampled_L);
  return rollout;
}

const policyMask = ({ roles_L }: Rollout): Uint8Array =>
  roles_L.map((role) => +(role === Role.policy));
const textOf = ({ tokens_L, roles_L }: Rollout, role: Role): string =>
  byteTokenizer.decode([...tokens_L].filter((_, i) => roles_L[i] === role));

const call = "<search> Osk </search>";
const answer = "<answer> Osk </answer>";

test("a rollout of two turns keeps what was sampled and what was read, by role", async () => {
  const rollout = await play({ script: `<think> hm </think>\n${call}${answer} never read` });
  expect(rollout.finish).toBe("answer");
  expect(rollout.policyText).toBe(`<think> hm </think>\n${call}${answer}`);
  const observation = "\n<information> found Osk </information>\n";
  expect(rollout.responseText).toBe(`<think> hm </think>\n${call}${observation}${answer}`);
  expect(textOf(rollout, Role.prompt)).toBe("Use search.\nWhere?\n");
  expect(textOf(rollout, Role.policy)).toBe(rollout.policyText);
  expect(textOf(rollout, Role.observation)).toBe(observation);
  expect(rollout.turns.map(({ toolCalls }) => toolCalls[0]?.input)).toEqual(["Osk", undefined]);
});

test("turns cover the rollout, and only policy tokens carry logprobs and a version", async () => {
  const rollout = await play({ script: call + answer });
  const { turns, promptTokens, tokens_L, roles_L } = rollout;
  expect(turns[0]!.policyStart).toBe(promptTokens);
  expect(turns[1]!.policyStart).toBe(turns[0]!.observationEnd);
  expect(turns[1]!.observationEnd).toBe(tokens_L.length);
  for (let i = 0; i < tokens_L.length; i++) {
    const own = roles_L[i] === Role.policy;
    expect(rollout.samplerLogprobs_L[i]).toBe(own ? -0.5 : 0);
    expect(rollout.samplerEntropies_L[i]).toBe(own ? 0.25 : 0);
    expect(rollout.policyVersions_L[i]).toBe(own ? 7 : -1);
  }
});

test("a watch sees every token and call as it comes, and what the policy reads", async () => {
  const script = [...byteTokenizer.encode(`${call}so`), EOS];
  const seen: number[] = [];
  const watch: RolloutWatch = {
    onToken: (id) => void seen.push(id),
    onCalls: (calls, observation) => {
      expect(calls.map(({ input }) => input)).toEqual(["Osk"]);
      seen.push(...observation!.tokens);
    },
  };
  const engine = new ScriptedEngine(() => script);
  const { rollout } = await rollOut(engine, { ...request(), watch }, settings());
  expect(Int32Array.from(seen)).toEqual(rollout.tokens_L.slice(rollout.promptTokens));
});

test("an end token that was sampled stays, is the policy's, and is no text", async () => {
  const rollout = await play({ script: [...byteTokenizer.encode("so"), EOS, 65] });
  expect(rollout.finish).toBe("eos");
  expect(rollout.tokens_L.at(-1)).toBe(EOS);
  expect(rollout.roles_L.at(-1)).toBe(Role.policy);
  expect(rollout.policyText).toBe("so");
});

test.each([
  ["the answer is closed first", `${answer}${call}`, "answer"],
  ["an answer is closed inside a call", `<search> ${answer} </search>`, "answer"],
] as const)("the first closing tag in the text wins: %s", async (_, script, finish) => {
  const rollout = await play({ script });
  expect(rollout.finish).toBe(finish);
  expect(rollout.turns).toHaveLength(1);
  expect(rollout.turns[0]!.toolCalls).toEqual([]);
});

test("a call closed before the answer is made", async () => {
  const rollout = await play({ script: `<answer> ${call} </answer>` });
  expect(rollout.turns[0]!.toolCalls[0]?.input).toBe("Osk");
  expect(rollout.finish).toBe("answer");
});

test("a closing tag is found however tokens cut it, whatever its case", async () => {
  const bytes = [..."<search> Osk </SEARCH>"].map((char) => char.charCodeAt(0));
  const rollout = await play({ script: [...bytes, ...byteTokenizer.encode(answer)] });
  expect(rollout.turns[0]!.toolCalls[0]?.input).toBe("Osk");
});

test.each([
  ["no line end gets one", "<search> Osk </search>", "\n<information>"],
  ["a line end in the tag's last token is enough", "<search> Osk </search", "<information>"],
])("after a call, %s", async (_, start, expected) => {
  const glued = byteTokenizer.encode(">\n");
  const script = [...byteTokenizer.encode(start), ...(start.endsWith(">") ? [] : glued)];
  const rollout = await play({ script: [...script, ...byteTokenizer.encode(answer)] });
  expect(textOf(rollout, Role.observation).startsWith(expected)).toBe(true);
});

test("a tag before a blank line in one token counts as the tag", async () => {
  const script = [...byteTokenizer.encode("<search> a </search"), ...byteTokenizer.encode(">\n\n")];
  const rollout = await play({ script: [...script, ...byteTokenizer.encode(answer)] });
  expect(rollout.finish).toBe("answer");
  expect(rollout.turns).toHaveLength(2);
});

test("a call without its opening tag is a failure that the policy reads, and counts", async () => {
  const rollout = await play({
    script: `oops </search>${answer}`,
    change: { toolbox: toolboxOf([toolOf(() => "")], { maxObservationTokens: 120 }) },
  });
  const [toolCall] = rollout.turns[0]!.toolCalls;
  expect(toolCall?.result).toMatchObject({ ok: false, reason: "invalid_call" });
  expect(textOf(rollout, Role.observation)).toContain(toolCall!.result.text);
  expect(rollout.finish).toBe("answer");
});

test("a tool that fails is an observation, and the rollout goes on", async () => {
  const toolbox = toolboxOf([
    toolOf(() => {
      throw new Error("down");
    }),
  ]);
  const rollout = await play({ script: call + answer, change: { toolbox } });
  expect(textOf(rollout, Role.observation)).toBe(
    "\n<information> Error: search failed. </information>\n",
  );
  expect(rollout.finish).toBe("answer");
});

test("a long observation is cut inside its tags, which are closed", async () => {
  const toolbox = toolboxOf([toolOf(() => "ä".repeat(5000))], { maxObservationTokens: 41 });
  const rollout = await play({ script: call + answer, change: { toolbox } });
  const { policyEnd, observationEnd } = rollout.turns[0]!;
  expect(observationEnd - policyEnd).toBeLessThanOrEqual(41);
  expect(observationEnd - policyEnd).toBeGreaterThan(41 - 3); // a character has two tokens
  expect(textOf(rollout, Role.observation)).toMatch(/^\n<information> ä+ <\/information>\n$/);
});

test("an end token written by a tool stays text", async () => {
  const toolbox = toolboxOf([toolOf(() => "<|endoftext|>")]);
  const rollout = await play({ script: call + answer, change: { toolbox } });
  expect(textOf(rollout, Role.observation)).toContain("<|endoftext|>");
  expect(rollout.tokens_L).not.toContain(EOS);
});

const promptTokens = request().prompt.numTokens;
const callTokens = byteTokenizer.encode(call).length;
const observationTokens = byteTokenizer.encode("\n<information> found Osk </information>\n").length;

const limitCases: readonly (readonly [string, FinishReason, Case, number])[] = [
  ["a call past the limit", "max_turns", { script: call.repeat(3) }, 3],
  [
    "no calls allowed",
    "max_turns",
    { script: call, change: { limits: { ...limits, maxCalls: 0 } } },
    1,
  ],
  ["a long turn", "max_turn_tokens", { script: filler }, 1],
  [
    "sampled tokens of all turns",
    "max_new_tokens",
    { script: call + filler, change: { limits: { ...limits, maxNewTokens: 60 } } },
    2,
  ],
  [
    "a call with the last token that is allowed",
    "max_new_tokens",
    { script: call, change: { limits: { ...limits, maxNewTokens: callTokens } } },
    1,
  ],
  [
    "the context while sampling",
    "context",
    { script: filler, change: { limits: { ...limits, context: promptTokens + 50 } } },
    1,
  ],
  [
    "an observation that leaves no room in the context",
    "context",
    {
      script: call,
      change: { limits: { ...limits, context: promptTokens + callTokens + observationTokens } },
    },
    1,
  ],
  [
    "a prompt as long as the context",
    "context",
    { script: "", change: { limits: { ...limits, context: promptTokens } } },
    0,
  ],
];
test.each(limitCases)(
  "a limit ends the rollout with its reason: %s",
  async (_, finish, given, turns) => {
    const rollout = await play(given);
    expect(rollout.finish).toBe(finish);
    expect(rollout.turns).toHaveLength(turns);
    const max = { ...limits, ...given.change?.limits };
    expect(rollout.tokens_L.length).toBeLessThanOrEqual(max.context);
    expect([...policyMask(rollout)].filter(Boolean).length).toBeLessThanOrEqual(max.maxNewTokens);
  },
);

test("an observation that just leaves room for one token is kept", async () => {
  const context = promptTokens + callTokens + observationTokens + 1;
  const rollout = await play({ script: call + filler, change: { limits: { ...limits, context } } });
  expect(rollout.finish).toBe("context");
  expect(rollout.tokens_L.length).toBe(context);
});

test("a stop text ends the rollout and is kept", async () => {
  const rollout = await play({ script: "no idea\n\nQuestion" });
  expect(rollout.finish).toBe("stop_text");
  expect(rollout.policyText).toBe("no idea\n\n");
});

test("a limit on observations without room for their tags is refused", async () => {
  const toolbox = toolboxOf([toolOf(() => "")], { maxObservationTokens: 5 });
  await expect(play({ script: call, change: { toolbox } })).rejects.toThrow(
    "observations of 5 tokens have no room",
  );
});

test("groups come back in order, with all samples, whatever finishes first", async () => {
  const scripts = [answer, call + answer, `${call}${call}${answer}`];
  const engine = new ScriptedEngine((group, sample) =>
    byteTokenizer.encode(scripts[(group + sample) % 3]!),
  );
  const prompt = promptOf("Use search.\n", "Where?\n");
  const requests = [0, 1].map((stream) => ({
    id: `g${stream}`,
    stream,
    task,
    prompt,
    numSamples: 3,
  }));
  const { groups, metrics } = await rolloutGroups(engine, requests, settings());
  expect(groups.map(({ id }) => id)).toEqual(["g0", "g1"]);
  const turns = groups.map(({ records }) => records.map(({ rollout }) => rollout.turns.length));
  expect(turns).toEqual([
    [1, 2, 3],
    [2, 3, 1],
  ]);
  expect(groups[1]!.records.map(({ rollout }) => rollout.sample)).toEqual([0, 1, 2]);
  expect(metrics.numCalls).toBe(6);
});

test("an engine that fails fails the batch, and every sequence is closed", async () => {
  const engine = new ScriptedEngine((_, sample) =>
    byteTokenizer.encode(sample === 1 ? "cut" : answer),
  );
  const requests = [{ id: "g", stream: 0, task, prompt: promptOf("p"), numSamples: 3 }];
  await expect(rolloutGroups(engine, requests, settings())).rejects.toThrow("the script is over");
  await new Promise((resolve) => setImmediate(resolve));
  expect(engine.openSequences.size).toBe(0);
});
