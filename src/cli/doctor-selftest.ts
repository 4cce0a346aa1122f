// The doctor's `--selftest`: the engine's largest errors against references, as checks.
import { suggestion, UserError } from "../config/errors.ts";
import type { Check } from "./doctor-checks.ts";

const DEVICES = ["cpu", "cuda"] as const;
export type DeviceName = (typeof DEVICES)[number];

export function parseDevice(name: string): DeviceName {
  const found = DEVICES.find((it) => it === name);
  if (found !== undefined) return found;
  throw new UserError(`there is no device "${name}"`, { hint: suggestion(name, DEVICES), exitCode: 2 });
}

export async function selftest(kind: DeviceName): Promise<Check[]> {
  const [{ Device }, { selftest: compare }] = await Promise.all([
    import("../../ffi/device.ts"),
    import("../../ffi/selftest.ts"),
  ]);
  using device = Device.open(kind);
  return compare(device).map(({ name, error, bound, ok }) => ({
    name,
    verdict: ok ? "ok" : "failed",
    detail: `largest error ${error.toExponential(1)}, allowed ${bound.toExponential(0)}`,
    ...(ok ? {} : { todo: "the numbers of this device are not to be trusted; please report this" }),
  }));
}
