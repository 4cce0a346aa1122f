// The least time that a forward which decodes can take on a device: for each kind of operation the
// larger of its bytes over the memory's rate and its FLOPs over the product rate. Weights and the
// distinct cached keys and values are read once a forward. Pure.

import type { PolicyConfig } from "../../ffi/policy.ts";
import { tokenFlops } from "../../src/train/plan/cost.ts";
import { numRollouts, type StepShape } from "../shapes.ts";

export interface Rates {
  readonly flops: number; // a second
  readonly bytes: number;
}

export interface DecodeFloor {
  readonly seconds: number; // of a forward
  readonly bytes: number;
  readonly flops: number;
}

interface Work {
  readonly flops: number;
  readonly bytes: number;
}

/** The mean over a shape's forwards, all sequences in each of them. */
export function decodeFloor(
  config: PolicyConfig,
  shape: StepShape,
  elementBytes: number,
  rates: Rates,
): DecodeFloor {
  const works = decodeOperations(config, shape, elementBytes);
  const least = ({ flops, bytes }: Work): number =>
    Math.max(flops / rates.flops, bytes / rates.bytes);
  return {
    seconds: sum(works.map(least)),
    bytes: sum(works.map(({ bytes }) => bytes)),
    flops: sum(works.map(({ flops }) => flops)),
  };
}

/** The layers' products, the LM head, attention. */
function decodeOperations(
  config: PolicyConfig,
  shape: StepShape,
  elementBytes: number,
): readonly Work[] {
  const { layers, key, head } = tokenFlops(config);
  const rows = numRollouts(shape);
  const { prompts, shared, own, sampled } = shape;
  const mean = (sampled + 1) / 2; // sampled tokens of a row that a forward sees
  const cached = 2 * config.kvHeads * config.headDim * config.layers * elementBytes;
  return [
    { flops: rows * layers, bytes: (layers / 2) * elementBytes },
    { flops: rows * head, bytes: (head / 2) * elementBytes },
    {
      flops: rows * key * (shared + own + mean),
      bytes: cached * (shared + prompts * own + rows * mean),
    },
  ];
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
