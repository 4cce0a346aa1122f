// Does the device compute what it should? Each group of the self-test's errors as the largest share
// of its bound.

import { Device } from "../../../ffi/device.ts";
import { selftest, type SelftestResult } from "../../../ffi/selftest.ts";
import type { Bench } from "../../bench.ts";
import { type Figure, valueAtMost } from "../../figure.ts";
import type { GpuWork } from "../work.ts";

export async function selftests({ device: kind }: Bench<GpuWork>): Promise<readonly Figure[]> {
  using device = Device.open(kind);
  const groups = Map.groupBy(selftest(device), ({ name }) => groupOf(name));
  return [...groups].map(([group, results]) => groupFigure(group, results));
}

/** "gradients qwen3 bf16" is of bf16, "kernel rope" of the kernels in use, "kernel cuda.rope" of ours. */
function groupOf(name: string): string {
  if (name.startsWith("kernel cuda.")) return "own-kernels";
  return name.startsWith("kernel ") ? "kernels" : name.split(" ").at(-1)!;
}

const share = ({ error, bound }: SelftestResult): number => error / bound;

function groupFigure(group: string, results: readonly SelftestResult[]): Figure {
  const worst = results.reduce((a, b) => (share(b) > share(a) || Number.isNaN(b.error) ? b : a));
  const failed = results.filter(({ ok }) => !ok).map(({ name }) => name);
  const note = [
    `${results.length} checks; the worst is ${worst.name}: ${worst.error.toExponential(1)}`,
    ...(failed.length > 0 ? [`failed: ${failed.join(", ")}`] : []),
  ];
  return {
    key: `gpu.selftest.${group}`,
    what: `self-test, ${group}, largest share of a bound`,
    value: share(worst),
    unit: "%",
    wanted: valueAtMost(1),
    note: note.join("; "),
  };
}
