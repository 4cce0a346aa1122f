// Logprobs of given tokens, each after those before it, and the most probable tokens in their
// places: what an evaluation harness asks of a prompt. At temperature 1. A prompt is computed in a
// cache of its own, several short ones in one forward and a long one over several; between two
// forwards the event loop turns. Not sampling: rollout/in-process.ts. Legend: V vocabulary.

import { type CacheBatch, KvCache } from "../../../ffi/cache.ts";
import type { Policy } from "../../../ffi/policy.ts";
import { logNormaliser, type TopToken, topTokens } from "../../rollout/top-tokens.ts";

/** What a prompt's token was, in the place where it stands. */
export interface ScoredToken {
  readonly logprob: number;
  readonly top: readonly TopToken[];
}

interface Job {
  readonly ids: readonly number[];
  readonly numTop: number;
  readonly signal: AbortSignal;
  readonly scored: ScoredToken[];
  readonly done: PromiseWithResolvers<readonly ScoredToken[]>;
}
/** Tokens [from, to) of a job, whose keys and values begin at a page of the cache. */
interface Part {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
  readonly firstPage: number;
}

const PAGE_TOKENS = 16;
const LOGITS_BYTES = 2 ** 26; // of one forward

const rowsOf = (vocab: number): number =>
  Math.floor(Math.min(1024, Math.max(16, LOGITS_BYTES / 4 / vocab)));

/** Holds no memory of the device before the first prompt. */
export class PromptScorer implements Disposable {
  private cache: KvCache | undefined;
  private queue: Job[] = [];
  private running = false;

  /** `context`: tokens of the longest prompt. `maxRows`: tokens of one forward. */
  constructor(
    private readonly policy: Policy,
    private readonly context: number,
    private readonly maxRows = rowsOf(policy.config.vocab),
  ) {}

  /** One entry for each token after the first. Rejects with the signal's reason. */
  score(
    ids: readonly number[],
    numTop: number,
    signal: AbortSignal,
  ): Promise<readonly ScoredToken[]> {
    const done = Promise.withResolvers<readonly ScoredToken[]>();
    this.queue.push({ ids, numTop, signal, scored: [], done });
    if (!this.running) void this.run();
    return done.promise;
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.queue.length > 0) await this.scoreNext(this.take());
    this.running = false;
  }

  /** As many jobs as one forward has room for; at least one, whatever its length. */
  private take(): Job[] {
    let room = this.maxRows;
    const next = this.queue.findIndex(({ ids }) => (room -= ids.length) < 0);
    return this.queue.splice(0, next < 0 ? this.queue.length : Math.max(1, next));
  }

  private async scoreNext(jobs: readonly Job[]): Promise<void> {
    try {
      for (let from = 0; from === 0 || from < jobs[0]!.ids.length; from += this.maxRows) {
        await eventLoopTurn();
        const left = jobs.filter(({ signal }) => !signal.aborted);
        if (left.length > 0) this.forward(partsOf(left, from, this.maxRows));
      }
      for (const { done, scored, signal } of jobs) {
        if (signal.aborted) done.reject(signal.reason);
        else done.resolve(scored);
      }
    } catch (error) {
      for (const { done } of jobs) done.reject(error);
    }
  }

  private forward(parts: readonly Part[]): void {
    const { ids_N, logprobs_N, logits_NV } = this.openCache().forward(batchOf(parts));
    const { vocab } = this.policy.config;
    let row = 0;
    for (const { job, from, to } of parts) {
      for (let i = from; i < to; i++, row++) {
        const next = job.ids[i + 1];
        if (next === undefined) continue;
        const logits_V = logits_NV!.subarray(row * vocab, (row + 1) * vocab);
        const best = { id: ids_N[row]!, logprob: logprobs_N[row]! };
        job.scored.push(scoredToken(logits_V, next, best, job.numTop));
      }
    }
  }

  /** Room for the longest prompt, or for as many short ones as a forward takes. */
  private openCache(): KvCache {
    const numPages = Math.ceil(this.context / PAGE_TOKENS) + this.maxRows;
    this.cache ??= KvCache.open(this.policy, { numPages, pageTokens: PAGE_TOKENS });
    return this.cache;
  }

  [Symbol.dispose](): void {
    this.cache?.[Symbol.dispose]();
    this.cache = undefined;
  }
}

/** `best` is the most probable one. A token that it is has its very logprob. */
function scoredToken(
  logits_V: Float32Array,
  id: number,
  best: TopToken,
  numTop: number,
): ScoredToken {
  const logprob = id === best.id ? best.logprob : logits_V[id]! - logNormaliser(logits_V, best);
  const top = numTop <= 1 ? [best].slice(0, numTop) : topTokens(logits_V, numTop, best);
  return { logprob, top };
}

function partsOf(jobs: readonly Job[], from: number, maxRows: number): Part[] {
  let firstPage = 0;
  return jobs.map((job) => {
    const part = { job, from, to: Math.min(job.ids.length, from + maxRows), firstPage };
    firstPage += Math.ceil(job.ids.length / PAGE_TOKENS);
    return part;
  });
}

function batchOf(parts: readonly Part[]): CacheBatch {
  const tokens: number[] = [];
  const positions: number[] = [];
  const slots: number[] = [];
  const segments: number[] = [];
  const pages: number[] = [];
  for (const { job, from, to, firstPage } of parts) {
    segments.push(pages.length, to, 0, tokens.length, tokens.length + to - from);
    for (let i = from; i < to; i++) {
      tokens.push(job.ids[i]!);
      positions.push(i);
      slots.push(firstPage * PAGE_TOKENS + i);
    }
    const numPages = Math.ceil(to / PAGE_TOKENS);
    for (let page = 0; page < numPages; page++) pages.push(firstPage + page);
  }
  return {
    tokens_T: Int32Array.from(tokens),
    positions_T: Int32Array.from(positions),
    slots_T: Int32Array.from(slots),
    segments_S5: Int32Array.from(segments),
    pages_P: Int32Array.from(pages),
    rows_N: Int32Array.from(tokens, (_, row) => row),
    streams_N3: new Int32Array(3 * tokens.length),
    seed: 0,
    temperature: 0, // the most probable token, whose logprob normalises the row
    wantLogits: true,
  };
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
