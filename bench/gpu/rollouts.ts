// A step's rollouts: sampled by the engine with a real search between two turns, or made up where
// only the update is timed. Every sample has its full length, so both are of the same shape.

import type { InProcessEngine } from "../../src/rollout/in-process.ts";
import type { WeighedRollout } from "../../src/train/update.ts";
import { Random } from "../../src/data/random.ts";
import { Bm25Index } from "../../src/tools/bm25.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { type Prompt, tokenSource } from "../work.ts";
import type { SearchShape } from "./work.ts";

const TASK = { id: "bench", question: "", golds: [], meta: {} };

/** Turns of half the sampled tokens, an observation between them; one turn without observation. */
function turnsOf({ sampled, observation }: SearchShape): readonly number[] {
  const first = Math.floor(sampled / 2);
  return observation === 0 ? [sampled] : [first, sampled - first];
}

export async function sampleStep(
  engine: InProcessEngine,
  prompts: readonly Prompt[],
  shape: SearchShape,
  searcher: Searcher,
  seed: number,
): Promise<Rollout[]> {
  const jobs = prompts.flatMap((prompt, group) =>
    Array.from({ length: shape.samples }, (_, sample) =>
      sampleOne(engine, prompt, shape, searcher, { seed, group, sample }),
    ),
  );
  return Promise.all(jobs);
}

interface Stream {
  readonly seed: number;
  readonly group: number;
  readonly sample: number;
}
interface Piece {
  readonly role: number;
  readonly tokens: number;
  readonly logprobs?: Float32Array;
}

async function sampleOne(
  engine: InProcessEngine,
  { shared, own }: Prompt,
  shape: SearchShape,
  searcher: Searcher,
  stream: Stream,
): Promise<Rollout> {
  using sequence = engine.open([shared, own], shape.sampled + shape.observation);
  const pieces: Piece[] = [{ role: Role.prompt, tokens: shared.length + own.length }];
  let version = 0;
  for (const maxTokens of turnsOf(shape)) {
    if (pieces.length > 1) {
      sequence.append(searcher.observation(shape.observation));
      pieces.push({ role: Role.observation, tokens: shape.observation });
    }
    const turn = await sequence.generate({ ...stream, temperature: 1, maxTokens, shouldStop });
    pieces.push({ role: Role.policy, tokens: maxTokens, logprobs: turn.logprobs_N });
    version = turn.policyVersion;
  }
  return rolloutOf(sequence.transcript().tokens_L, pieces, stream, version);
}

const shouldStop = (): boolean => false;

/** As a step of this shape would have them: random tokens, and the logprobs of a uniform policy. */
export function madeUpRollouts(
  prompts: readonly Prompt[],
  shape: SearchShape,
  vocab: number,
): Rollout[] {
  const tokens = tokenSource(vocab);
  const [first, ...rest] = turnsOf(shape);
  const sampled = (count: number): Piece => {
    return { role: Role.policy, tokens: count, logprobs: new Float32Array(count).fill(-Math.log(vocab)) };
  };
  const after = rest.flatMap((count): Piece[] => [
    { role: Role.observation, tokens: shape.observation },
    sampled(count),
  ]);
  return prompts.flatMap(({ shared, own }, group) =>
    Array.from({ length: shape.samples }, (_, sample) => {
      const pieces: Piece[] = [
        { role: Role.prompt, tokens: shared.length + own.length },
        sampled(first!),
        ...after,
      ];
      const more = tokens(shape.sampled + shape.observation);
      return rolloutOf(Int32Array.of(...shared, ...own, ...more), pieces, { group, sample }, 0);
    }),
  );
}

function rolloutOf(
  tokens_L: Int32Array,
  pieces: readonly Piece[],
  { group, sample }: Pick<Stream, "group" | "sample">,
  version: number,
): Rollout {
  const { length } = tokens_L;
  const [roles_L, logprobs_L] = [new Uint8Array(length), new Float32Array(length)];
  const versions_L = new Int32Array(length).fill(-1);
  let at = 0;
  for (const { role, tokens, logprobs } of pieces) {
    roles_L.fill(role, at, at + tokens);
    if (logprobs !== undefined) logprobs_L.set(logprobs, at);
    if (role === Role.policy) versions_L.fill(version, at, at + tokens);
    at += tokens;
  }
  return {
    groupId: `${group}`,
    sample,
    task: TASK,
    tokens_L,
    roles_L,
    samplerLogprobs_L: logprobs_L,
    samplerEntropies_L: new Float32Array(length),
    policyVersions_L: versions_L,
    promptTokens: pieces[0]!.tokens,
    turns: [],
    finish: "max_new_tokens",
    responseText: "",
    policyText: "",
  };
}

/** Better and worse samples of each prompt. */
export const weigh = (rollouts: readonly Rollout[]): WeighedRollout[] =>
  rollouts.map((rollout) => ({ rollout, advantage: rollout.sample % 2 === 0 ? 1 : -1 }));

const WORDS = 20_000;
const TOP_K = 3;

/** A BM25 index in memory over passages of made-up words, and its results as token ids. */
export class Searcher implements Disposable {
  readonly seconds: number[] = []; // of each search
  private readonly random = new Random(2, "queries");
  private readonly index: Bm25Index;

  constructor(
    private readonly passages: number,
    private readonly vocab: number,
  ) {
    this.index = Bm25Index.build(
      Array.from({ length: passages }, (_, i) => ({ id: String(i), text: wordsOf(i).join(" ") })),
    );
  }

  /** Searches for two words of a passage; the text found, cut or repeated to so many tokens. */
  observation(tokens: number): Int32Array {
    const words = wordsOf(this.random.integer(this.passages));
    const start = performance.now();
    const found = this.index.search(words.slice(0, 2).join(" "), TOP_K);
    this.seconds.push((performance.now() - start) / 1000);
    const bytes = Buffer.from(found.map(({ text }) => text).join("\n"));
    return Int32Array.from({ length: tokens }, (_, i) => {
      return 3 + ((bytes[i % bytes.length]! * 131 + i) % (this.vocab - 3));
    });
  }

  [Symbol.dispose](): void {
    this.index[Symbol.dispose]();
  }
}

/** Of the n-th passage: the word w is about 1/w as frequent as the first. */
function wordsOf(passage: number): readonly string[] {
  const random = new Random(passage, "passage");
  const draw = (): number => Math.floor(WORDS ** random.float());
  return Array.from({ length: 30 + random.integer(40) }, () => `w${draw().toString(36)}`);
}
