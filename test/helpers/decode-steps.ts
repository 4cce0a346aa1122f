// Decoding through the cache with prefixes shared and steps of many sizes, as a script of its own:
// some of the engine's options are read from the environment when a process starts.

import { KvCache } from "../../ffi/cache.ts";
import { Device } from "../../ffi/device.ts";
import { setThreads } from "../../ffi/native.ts";
import type { Dtype, Policy } from "../../ffi/policy.ts";
import { openTiny, randomIds } from "./engine.ts";
import { cacheBatch, Pages, type Part } from "./paging.ts";

export interface DecodedStep {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
}

const ROLLOUTS = 7;
const STEPS = 40;

/** Greedy steps of seven rollouts, fewer and fewer of them, now and then one with a prefill. */
export function decodeSteps(policy: Policy): DecodedStep[] {
  using cache = KvCache.open(policy, { numPages: 64, pageTokens: 16 });
  const pages = new Pages(16, 64);
  const root = pages.newRun(0);
  const prefix: Part = { runs: [root], tokens: randomIds(70, 37, 1), sample: [69] };
  cache.forward(cacheBatch(pages, [prefix]));
  const runs = Array.from({ length: ROLLOUTS }, () => pages.newRun(70));
  return Array.from({ length: STEPS }, (_, step) => {
    const going = runs.slice(0, Math.max(1, ROLLOUTS - Math.floor(step / 6)));
    const parts = going.map((run, i): Part => {
      const tokens = randomIds(step % 9 === 8 && i === 0 ? 5 : 1, 37, 100 * step + i);
      return { runs: [root, run], tokens, sample: [tokens.length - 1], stream: [0, i] };
    });
    const batch = { ...cacheBatch(pages, parts, 1, step % 2), wantLogits: false };
    const { ids_N, logprobs_N } = cache.forward(batch);
    return { ids: [...ids_N], logprobs: [...logprobs_N] };
  });
}

if (import.meta.main) {
  setThreads(1);
  using device = Device.open("cpu", 1);
  using policy = openTiny(device, process.argv[2] as Dtype);
  console.log(JSON.stringify(decodeSteps(policy)));
}
