// The work behind the endpoints: continuations of prompts, many at once in the one engine, and
// logprobs of prompts. More than may run at once wait, first come first served. Not HTTP
// (routes.ts), not the form of answers (completions.ts, chat.ts).

import { Limiter } from "../../tools/limiter.ts";
import { RequestError } from "../server.ts";
import {
  generate,
  type Generation,
  type GenerationRequest,
  type SampledToken,
} from "./generation.ts";
import { type ScoredToken, PromptScorer } from "./prompt-scorer.ts";
import type { ClientPrompt } from "./prompts.ts";
import type { ServedPolicy } from "./served-policy.ts";

/** One of the `n` continuations of one of the prompts. */
export interface Choice {
  readonly index: number;
  readonly prompt: ClientPrompt;
  readonly request: GenerationRequest;
}
export interface SamplingFields {
  readonly n: number;
  readonly temperature: number;
  readonly stop?: string | readonly string[] | undefined;
  readonly seed?: number | undefined;
}

export type OnChoiceToken = (choice: Choice, token: SampledToken, text: string) => void;

export class PolicyService implements Disposable {
  readonly created = Math.floor(Date.now() / 1000);
  private readonly limiter: Limiter;
  private readonly scorer: PromptScorer;

  /** `maxConcurrency`: continuations at once. Closing it leaves the policy open. */
  constructor(
    readonly policy: ServedPolicy,
    maxConcurrency: number,
  ) {
    this.limiter = new Limiter(maxConcurrency);
    this.scorer = new PromptScorer(policy.policy, policy.context);
  }

  /** Throws RequestError where prompt and continuation do not fit the context. */
  choices(
    prompts: readonly ClientPrompt[],
    fields: SamplingFields,
    limits: { readonly maxTokens: number; readonly numTop: number },
  ): Choice[] {
    for (const { ids } of prompts) this.requireFit(ids.length, limits.maxTokens);
    const stream = streamOf(fields.seed);
    const stops = typeof fields.stop === "string" ? [fields.stop] : (fields.stop ?? []);
    const { n, temperature } = fields;
    return Array.from({ length: prompts.length * n }, (_, index) => {
      const prompt = prompts[Math.floor(index / n)]!;
      const named = { stops, temperature, stream, sample: index };
      return { index, prompt, request: { prompt: prompt.ids, ...limits, ...named } };
    });
  }

  private requireFit(promptTokens: number, maxTokens: number): void {
    const { context } = this.policy;
    if (promptTokens + maxTokens <= context) return;
    const what = `a prompt of ${promptTokens} tokens and max_tokens ${maxTokens}`;
    throw new RequestError(`${what} do not fit the context of ${context} tokens`, "max_tokens");
  }

  /** All at once; where one fails, the others end too. */
  async generate(
    choices: readonly Choice[],
    signal: AbortSignal,
    onToken: OnChoiceToken = () => undefined,
  ): Promise<Generation[]> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const one = (choice: Choice): Promise<Generation> =>
      generate(this.policy, choice.request, either, (token, text) => onToken(choice, token, text));
    return all(
      choices.map((choice) => this.limiter.run(() => one(choice))),
      failed,
    );
  }

  /** Of every token of each prompt but its first. */
  score(
    prompts: readonly ClientPrompt[],
    numTop: number,
    signal: AbortSignal,
  ): Promise<(readonly ScoredToken[])[]> {
    return Promise.all(prompts.map(({ ids }) => this.scorer.score(ids, numTop, signal)));
  }

  [Symbol.dispose](): void {
    this.scorer[Symbol.dispose]();
  }
}

/** Waits for every one, also where one fails: then nothing of them runs any more. */
async function all<T>(promises: readonly Promise<T>[], failed: AbortController): Promise<T[]> {
  for (const promise of promises) promise.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** Names the noise. Without a seed it is always another. */
function streamOf(seed: number | undefined): number {
  if (seed === undefined) return crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  return Number(BigInt.asUintN(31, BigInt(Bun.hash(`${seed}`))));
}
