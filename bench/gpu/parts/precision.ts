// How far are the sampler's and the trainer's logprobs of the same tokens apart in bf16? The
// question and its policies are bench/precision.ts's.

import type { Bench } from "../../bench.ts";
import { type Figure, valueAtMost } from "../../figure.ts";
import { measurePrecision, POLICIES, type Precision } from "../../precision.ts";
import type { GpuWork } from "../work.ts";

export async function precision({ device, work }: Bench<GpuWork>): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const [i, [name, open]] of Object.entries(POLICIES).entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one policy on the device at a time
    const measured = await measurePrecision(device, "bf16", open, work.precision);
    figures.push(gapFigure(i, name, measured));
  }
  return figures;
}

function gapFigure(index: number, name: string, measured: Precision): Figure {
  const { gapMean, gapMax, samplerError, trainerError, tokens, entropy } = measured;
  const [largest, sampler, trainer] = [gapMax, samplerError, trainerError].map((each) => {
    return each.toPrecision(2);
  });
  return {
    key: `gpu.precision.${index}`,
    what: `mean |sampler - trainer logprob|, ${name}`,
    value: gapMean,
    unit: "nat",
    wanted: valueAtMost(0.002),
    note:
      `largest ${largest}; from double: sampler ${sampler}, trainer ${trainer}; ` +
      `${tokens} tokens of entropy ${entropy.toFixed(2)}`,
  };
}
