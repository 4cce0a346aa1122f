// One sampled continuation of a prompt: tokens, logprobs, text and why it ended. Not HTTP, and not
// what stands before it (prompts.ts).

import type { RolloutEngine, Sampling } from "../../rollout/engine.ts";
import type { TopToken } from "../../rollout/top-tokens.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { TextStream } from "./text-stream.ts";

export interface GenerationRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly temperature: number;
  /** Most probable tokens reported with each. */
  readonly numTop: number;
  readonly stops: readonly string[];
  /** Name the noise: the same pair samples the same. */
  readonly stream: number;
  readonly sample: number;
}

export interface SampledToken {
  readonly id: number;
  readonly logprob: number;
  readonly top: readonly TopToken[];
}

/** OpenAI's words: `stop` for an end token or a stop text, `length` for the limit. */
export type Finish = "stop" | "length";

export interface Generation {
  /** All that were sampled, those of the stop text and the end token included. */
  readonly tokens: readonly SampledToken[];
  readonly text: string;
  readonly finish: Finish;
}

/** Told of each token as it is sampled, with the text that is certain by now; often none. */
export type OnToken = (token: SampledToken, text: string) => void;

const SEED = 0; // a step of the engine has one seed; streams tell requests apart

/** Rejects with the signal's reason. `onToken` must not throw. */
export async function generate(
  { engine, tokenizer }: { readonly engine: RolloutEngine; readonly tokenizer: Tokenizer },
  request: GenerationRequest,
  signal: AbortSignal,
  onToken: OnToken = () => undefined,
): Promise<Generation> {
  signal.throwIfAborted();
  const { prompt, maxTokens, stops } = request;
  if (maxTokens === 0) return { tokens: [], text: "", finish: "length" };
  const text = new TextStream(stops);
  const tokens: SampledToken[] = [];
  let written = "";
  using sequence = engine.open([Int32Array.from(prompt)], maxTokens);
  const onAbort = (): void => sequence[Symbol.dispose]();
  signal.addEventListener("abort", onAbort);
  const shouldStop = (id: number, logprob: number, all: readonly TopToken[]): boolean => {
    const isEnd = tokenizer.eosIds.includes(id);
    const piece = isEnd ? "" : text.push(bytesOf(tokenizer, id));
    const token = { id, logprob, top: isItself(request) ? [{ id, logprob }] : all };
    written += piece;
    tokens.push(token);
    onToken(token, piece);
    return isEnd || text.stopped;
  };
  try {
    const { stopped } = await sequence.generate(samplingOf(request, shouldStop));
    return {
      tokens,
      text: written + text.end(),
      finish: stopped || text.stopped ? "stop" : "length",
    };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function samplingOf(request: GenerationRequest, shouldStop: Sampling["shouldStop"]): Sampling {
  const { maxTokens, temperature, stream: group, sample } = request;
  const numTop = isItself(request) ? 0 : request.numTop;
  return { maxTokens, temperature, numTop, seed: SEED, group, sample, shouldStop };
}

/** The most probable token is the sampled one, which saves reading logits. */
const isItself = ({ temperature, numTop }: GenerationRequest): boolean =>
  temperature === 0 && numTop === 1;

const NO_BYTES = new Uint8Array(0);

/** Ids that no token has say nothing. */
export function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array {
  return id < tokenizer.vocabSize ? tokenizer.tokenBytes(id) : NO_BYTES;
}
