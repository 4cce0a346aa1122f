// What every part of the throughput table is given, and what it gives. A part is one question in a
// file of parts/; the table is all of them (throughput.ts).

import type { DeviceKind, DeviceLimits } from "../ffi/device.ts";
import type { PolicyConfig } from "../ffi/policy.ts";
import type { Figure } from "./figure.ts";
import type { Opponents } from "./opponents.ts";
import type { Work } from "./shapes.ts";

export interface Bench<W = Work> {
  readonly device: DeviceKind;
  readonly work: W;
  /** Rounds of the short measurements; the long ones take fewer. */
  readonly repeats: number;
  readonly opponents: Opponents;
  /**
   * What the machine can do, measured when it is asked for: right beside what is compared with it.
   * It takes memory, so peaks are read before.
   */
  limits(): DeviceLimits;
}

export type Part<W = Work> = (bench: Bench<W>) => Promise<readonly Figure[]>;

/** Long measurements: fewer rounds, and never fewer than two. */
export const fewer = ({ repeats }: Bench): number => Math.max(2, Math.round(repeats / 2));

/** FLOP/s of the better product: a share of it can't be flattered by a poor one. */
export const peakFlops = ({ engineFlops, torchFlops }: DeviceLimits): number =>
  Math.max(engineFlops, torchFlops);

export const peakBandwidth = ({ readBytes, copyBytes }: DeviceLimits): number =>
  Math.max(readBytes, copyBytes);

/** As the scripts of peers/ read them. */
export function policyArguments(config: PolicyConfig): Readonly<Record<string, unknown>> {
  const { invFreq: _, ...sizes } = config;
  return { ...sizes };
}
