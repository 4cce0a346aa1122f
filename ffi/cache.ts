// The paged KV cache of one policy version: a step of any mixture of prefill and decode, then sampling.
// Legend: T new tokens, S segments, P listed pages, N sampled rows, V vocabulary.
import { check, live, native, type NativeHandle, openHandle } from "./native.ts";
import { type Policy, requireLength } from "./policy.ts";

/** One call of `icrl_cache_forward`; icrl.h defines the arrays. */
export interface CacheBatch {
  readonly tokens_T: Int32Array;
  readonly positions_T: Int32Array;
  readonly slots_T: Int32Array;
  readonly segments_S5: Int32Array; // [first of its pages, cached tokens, first position, first row, end row]
  readonly pages_P: Int32Array;
  readonly rows_N: Int32Array;
  readonly streams_N3: Int32Array; // [group, sample, position]
  readonly seed: number;
  readonly temperature: number;
  readonly wantLogits?: boolean;
}

export interface CacheSamples {
  readonly ids_N: Int32Array;
  readonly logprobs_N: Float32Array;
  readonly entropies_N: Float32Array;
  readonly logits_NV?: Float32Array;
}

const NOTHING = new Int32Array(1); // an empty array has no address

export class KvCache implements Disposable {
  #handle: NativeHandle<"cache"> | null;

  private constructor(
    handle: NativeHandle<"cache">,
    readonly policy: Policy,
    readonly numPages: number,
    readonly pageTokens: number,
  ) {
    this.#handle = handle;
  }

  /** pageTokens is a multiple of 16. */
  static open(policy: Policy, { numPages, pageTokens }: { numPages: number; pageTokens: number }): KvCache {
    const handle = openHandle<"cache">((out) => check("icrl_cache_open", policy.handle, numPages, pageTokens, out));
    return new KvCache(handle, policy, numPages, pageTokens);
  }

  get handle(): NativeHandle<"cache"> {
    return live(this.#handle, "cache");
  }

  /** Adopts the policy's present version; all pages are forgotten. */
  reset(): void {
    check("icrl_cache_reset", this.handle);
  }

  forward(batch: CacheBatch): CacheSamples {
    const { tokens_T, positions_T, slots_T, segments_S5, pages_P, rows_N, streams_N3, seed, temperature } = batch;
    requireLength("positions_T", positions_T.length, tokens_T.length);
    requireLength("slots_T", slots_T.length, tokens_T.length);
    requireLength("streams_N3", streams_N3.length, rows_N.length * 3);
    const rows = rows_N.length;
    const size = Math.max(1, rows);
    const ids_N = new Int32Array(size);
    const logprobs_N = new Float32Array(size);
    const entropies_N = new Float32Array(size);
    const logits_NV = batch.wantLogits ? new Float32Array(size * this.policy.config.vocab) : null;
    check(
      "icrl_cache_forward",
      this.handle,
      tokens_T.length,
      tokens_T,
      positions_T,
      slots_T,
      segments_S5.length / 5,
      segments_S5,
      pages_P.length,
      pages_P,
      rows,
      rows > 0 ? rows_N : NOTHING,
      rows > 0 ? streams_N3 : NOTHING,
      seed,
      temperature,
      ids_N,
      logprobs_N,
      entropies_N,
      logits_NV,
    );
    const cut = { ids_N: ids_N.subarray(0, rows), logprobs_N: logprobs_N.subarray(0, rows) };
    const samples = { ...cut, entropies_N: entropies_N.subarray(0, rows) };
    return logits_NV === null ? samples : { ...samples, logits_NV };
  }

  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    native().calls.icrl_cache_close(this.#handle);
    this.#handle = null;
  }
}
