// Rollouts of every tag profile: what was sampled stays as it was sampled, what was inserted is an
// observation, and text, calls and answers are those of the profile.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { lastAnswer, ownText } from "../../src/reward/tags.ts";
import { rolloutGroups } from "../../src/rollout/batch.ts";
import { rollOut, type RolloutSettings } from "../../src/rollout/rollout.ts";
import { checkContract } from "../../src/train/contract.ts";
import { buildBatches } from "../../src/train/trie.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { byteTokenizer, EOS } from "../helpers/byte-tokenizer.ts";
import {
  PROFILE_SCRIPTS,
  profileSettings,
  type ProfileScript,
  turnTokens,
} from "../helpers/profile-scripts.ts";
import { promptOf, request, task } from "../helpers/rollouts.ts";
import { ScriptedEngine } from "../helpers/scripted-engine.ts";

setDefaultTimeout(60_000); // patience on a busy machine

const found = (tool: string, input: string): string => `${tool} found ${input}`;

async function play(settings: RolloutSettings, script: readonly number[]): Promise<Rollout> {
  const engine = new ScriptedEngine(() => script);
  const { rollout, transcript } = await rollOut(engine, request(), settings);
  expect(rollout.tokens_L).toEqual(transcript.tokens_L);
  const sampled = [...rollout.roles_L].map((role) => +(role === Role.policy));
  expect(sampled).toEqual([...transcript.sampled_L]);
  return rollout;
}

/** The turns' tokens as the policy samples them. */
const tokensOf = (script: ProfileScript, turns: readonly string[]): number[] =>
  turns.flatMap((text) => turnTokens(script, byteTokenizer.encode(text)));

const textOf = ({ tokens_L, roles_L }: Rollout, role: Role): string =>
  byteTokenizer.decode([...tokens_L].filter((_, i) => roles_L[i] === role));

/** Byte by byte, or in the tokenizer's own tokens: a closing tag is then cut or whole. */
const encode = (text: string, byBytes: boolean): number[] =>
  byBytes ? [...Buffer.from(text)] : byteTokenizer.encode(text);

const word = fc.stringMatching(/^[a-zé東 ]{0,12}[a-z0-9]$/);
const step = fc.record({ tool: fc.nat(1), input: word, thought: word, byBytes: fc.boolean() });
const walk = fc.record({ steps: fc.array(step, { maxLength: 4 }), answer: word, last: step });

type Walk = typeof walk extends fc.Arbitrary<infer T> ? T : never;

for (const script of PROFILE_SCRIPTS) {
  describe(`a rollout of ${script.tags.name}`, () => {
    const toolAt = (index: number): string => script.tools[index % script.tools.length]!;

    test("keeps what was sampled, inserts observations, and reads its calls and answer", async () => {
      const run = async ({ steps, answer, last }: Walk) => {
        const calls = steps.map(({ tool, input }) => ({ tool: toolAt(tool), input: input.trim() }));
        const texts = steps.map(
          ({ thought }, i) => `${thought}\n${script.call(calls[i]!.tool, calls[i]!.input)}`,
        );
        const end = script.answer(answer.trim());
        const ids = [
          ...steps.flatMap(({ byBytes }, i) => turnTokens(script, encode(texts[i]!, byBytes))),
          ...encode(end, last.byBytes),
          EOS,
        ];
        const rollout = await play(profileSettings(script, found), ids);
        const observations = calls.map(({ tool, input }) =>
          script.observation([found(tool, input)]),
        );
        const policy = [...rollout.tokens_L].filter((_, i) => rollout.roles_L[i] === Role.policy);
        expect(policy).toEqual(ids.slice(0, policy.length));
        expect(ids.length - policy.length).toBeLessThanOrEqual(1); // the end token after a stop
        expect(rollout.policyText).toBe(texts.join("") + end);
        expect(textOf(rollout, Role.observation)).toBe(observations.join(""));
        expect(rollout.responseText).toBe(
          texts.map((text, i) => text + observations[i]).join("") + end,
        );
        const made = rollout.turns.map(({ toolCalls }) =>
          toolCalls.map(({ tool, input }) => ({ tool, input })),
        );
        expect(made).toEqual([...calls.map((call) => [call]), []]);
        expect(rollout.finish).toBe("answer");
        expect(lastAnswer(script.tags, rollout.policyText)).toBe(answer.trim());
        expect(rollout.turns.at(-1)!.observationEnd).toBe(rollout.tokens_L.length);
      };
      await fc.assert(fc.asyncProperty(walk, run), { seed: 7, numRuns: 25 });
    });

    test("has a call that can't be read as a failure, which the policy reads", async () => {
      const turns = [script.broken, script.answer("x")];
      const rollout = await play(profileSettings(script, found), [...tokensOf(script, turns), EOS]);
      const [call] = rollout.turns[0]!.toolCalls;
      expect(call!.result).toMatchObject({ ok: false, reason: "invalid_call" });
      expect(textOf(rollout, Role.observation)).toBe(script.observation([call!.result.text]));
      expect(rollout.finish).toBe("answer");
    });

    test("cuts a long observation inside, closes it, and says no more than the profile lets", async () => {
      const turns = [script.call(toolAt(0), "q"), script.answer("x")];
      const ids = [...tokensOf(script, turns), EOS];
      for (const maxObservationTokens of [120, 2000]) {
        const settings = profileSettings(script, () => "ä".repeat(900), { maxObservationTokens });
        const rollout = await play(settings, ids);
        const { policyEnd, observationEnd } = rollout.turns[0]!;
        expect(observationEnd - policyEnd).toBeLessThanOrEqual(maxObservationTokens);
        const shown = textOf(rollout, Role.observation);
        const output = /ä+/.exec(shown)![0];
        expect(shown).toBe(script.observation([output]));
        const { maxResultChars = 900 } = script.tags;
        if (maxObservationTokens === 2000) expect(output).toHaveLength(maxResultChars);
      }
    });

    test("without an answer ends with its end token", async () => {
      const rollout = await play(profileSettings(script, found), [EOS]);
      expect(rollout.finish).toBe("eos");
      expect(rollout.tokens_L.at(-1)).toBe(EOS);
    });

    test("ends with the call that is one too many, which is not made", async () => {
      const turns = Array.from({ length: 5 }, (_, i) => script.call(toolAt(i), "q"));
      const rollout = await play(profileSettings(script, found), tokensOf(script, turns));
      expect(rollout.finish).toBe("max_turns");
      expect(rollout.turns.map(({ toolCalls }) => toolCalls.length)).toEqual([1, 1, 1, 1, 0]);
    });

    test("keeps the contract between sampling and training", async () => {
      const scripts = [
        [script.call(toolAt(0), "a"), script.call(toolAt(1), "b"), script.answer("x")],
        [script.broken, script.answer("y")],
        [script.answer("z")],
      ].map((turns) => [...tokensOf(script, turns), EOS]);
      const engine = new ScriptedEngine((_, sample) => scripts[sample]!);
      const prompt = promptOf("Use tools.\n", "Where?\n");
      const requests = [{ id: "g", stream: 0, task, prompt, numSamples: 3 }];
      const { groups } = await rolloutGroups(engine, requests, profileSettings(script, found));
      const rollouts = groups.flatMap(({ records }) => records.map(({ rollout }) => rollout));
      const batches = buildBatches(rollouts, { maxTokens: 10_000 });
      expect(checkContract({ groups, batches, eosIds: [EOS] })).toEqual([]);
    });

    test("of which only the text is known gives back the policy's own part", async () => {
      const turns = [script.call(toolAt(0), "a"), script.call(toolAt(1), "b"), script.answer("x")];
      const rollout = await play(profileSettings(script, found), [...tokensOf(script, turns), EOS]);
      const text = script.endsTurns ? inQwensWords(rollout.responseText) : rollout.responseText;
      expect(ownText(script.tags, text).replaceAll("\n", "")).toBe(
        rollout.policyText.replaceAll("\n", ""),
      );
    });
  });
}

/** The test's own chat marks in those of a real template. */
const inQwensWords = (text: string): string =>
  text
    .replaceAll("<|endoftext|>", "<|im_end|>")
    .replaceAll("<user>", "<|im_start|>user\n")
    .replaceAll("<assistant>", "<|im_start|>assistant\n");

const named = (name: string): ProfileScript =>
  PROFILE_SCRIPTS.find(({ tags }) => tags.name === name)!;

describe("a message of hermes", () => {
  const hermes = named("hermes");
  const { call, answer } = hermes;

  test("may hold several calls, made at once and answered in order", async () => {
    const settings = profileSettings(hermes, found);
    const order: string[] = [];
    const second = Promise.withResolvers<void>();
    const slow: Pick<typeof settings.toolbox, "call"> = {
      call: async (name, input) => {
        if (name === "search") await second.promise;
        order.push(name);
        second.resolve();
        return await settings.toolbox.call(name, input);
      },
    };
    const { tools } = settings.toolbox;
    const maxObservationTokens = (name: string) => settings.toolbox.maxObservationTokens(name);
    const toolbox = { ...slow, tools, maxObservationTokens } as typeof settings.toolbox;
    const turns = [`two: ${call("search", "a")}\n${call("python", "1")}`, answer("x")];
    const rollout = await play({ ...settings, toolbox }, tokensOf(hermes, turns));
    expect(order).toEqual(["python", "search"]);
    expect(rollout.turns[0]!.toolCalls.map(({ tool }) => tool)).toEqual(["search", "python"]);
    expect(textOf(rollout, Role.observation)).toBe(
      hermes.observation(["search found a", "python found 1"]),
    );
  });

  test("with more calls than are left makes none of them", async () => {
    const many = call("search", "a").repeat(5);
    const rollout = await play(profileSettings(hermes, found), tokensOf(hermes, [many]));
    expect(rollout.finish).toBe("max_turns");
    expect(rollout.turns[0]!.toolCalls).toEqual([]);
  });

  test("that names an unknown tool, beside a good call and a broken one, gets three answers", async () => {
    const turns = [call("shell", "ls") + hermes.broken + call("search", "a"), answer("x")];
    const rollout = await play(profileSettings(hermes, found), tokensOf(hermes, turns));
    const results = rollout.turns[0]!.toolCalls.map(({ result }) =>
      result.ok ? "ok" : result.reason,
    );
    expect(results).toEqual(["unknown_tool", "invalid_call", "ok"]);
    const texts = rollout.turns[0]!.toolCalls.map(({ result }) => result.text);
    expect(texts[0]).toBe("Error: there is no tool named shell.");
    expect(textOf(rollout, Role.observation)).toBe(hermes.observation(texts));
  });

  test("that is not ended by its own end token makes no call", async () => {
    const rollout = await play(
      { ...profileSettings(hermes, found), stopTexts: ["STOP"] },
      byteTokenizer.encode(`${call("search", "a")}STOP`),
    );
    expect(rollout.finish).toBe("stop_text");
    expect(rollout.turns[0]!.toolCalls).toEqual([]);
  });

  test("keeps the end tokens that were sampled, each once", async () => {
    const turns = [call("search", "a"), answer("x")];
    const rollout = await play(profileSettings(hermes, found), tokensOf(hermes, turns));
    const ends = [...rollout.tokens_L].flatMap((id, i) =>
      id === EOS ? [rollout.roles_L[i]!] : [],
    );
    expect(ends).toEqual([Role.policy, Role.observation, Role.policy]);
  });
});

test("in a turn with the tags of two tools the first closing tag wins", async () => {
  const icrl = named("icrl");
  const turn = "<search> a <code> b </code>";
  const ids = byteTokenizer.encode(`${turn} </search><answer>x</answer>`);
  const rollout = await play(profileSettings(icrl, found), ids);
  expect(rollout.turns[0]!.toolCalls[0]).toMatchObject({ tool: "python", input: "b" });
  expect(rollout.turns[1]!.toolCalls[0]).toMatchObject({
    tool: "search",
    result: { reason: "invalid_call" },
  });
});

test("each tool has its own limit on observations", async () => {
  const icrl = named("icrl");
  const settings = profileSettings(icrl, () => "o".repeat(500));
  const { toolbox } = settings;
  const own = {
    tools: toolbox.tools,
    call: (name: string, input: string) => toolbox.call(name, input),
    maxObservationTokens: (name: string) => (name === "search" ? 60 : 200),
  } as typeof toolbox;
  const turns = [icrl.call("search", "a"), icrl.call("python", "b"), icrl.answer("x")];
  const rollout = await play({ ...settings, toolbox: own }, tokensOf(icrl, turns));
  const lengths = rollout.turns.map((turn) => turn.observationEnd - turn.policyEnd);
  expect(lengths).toEqual([60, 200, 0]);
});
