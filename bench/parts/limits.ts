// What can the machine do at most? Every share in the table is one of these: the fastest large fp32
// matrix product that was found, and the memory traffic of reading or copying arrays that no cache
// holds.

import type { Bench } from "../bench.ts";
import type { Figure } from "../figure.ts";

export async function limits(bench: Bench): Promise<readonly Figure[]> {
  const found = bench.limits();
  const python = await inPython(bench);
  const other = { name: "torch's", value: found.torchFlops / 1e9 };
  return [
    {
      key: "limits.product",
      what: "sgemm, 2048 x 2048 x 2048",
      value: found.engineFlops / 1e9,
      unit: "GFLOP/s",
      other,
      ratio: found.engineFlops / found.torchFlops,
      note: "the larger of the two is the peak below; the engine's reads a packed weight",
    },
    ...python,
    { key: "limits.read", what: "memory, read", value: found.readBytes / 1e9, unit: "GB/s" },
    {
      key: "limits.copy",
      what: "memory, copied",
      value: found.copyBytes / 1e9,
      unit: "GB/s",
      note: "read plus written; 128 MiB arrays",
    },
  ];
}

async function inPython({ opponents }: Bench): Promise<Figure[]> {
  using peer = await opponents.script("products", ["torch"], { side: 2048 });
  if (peer === undefined) return [];
  const { flops } = await peer.ask();
  const value = (flops as number) / 1e9;
  return [{ key: "limits.python", what: "the same in Python's torch", value, unit: "GFLOP/s" }];
}
