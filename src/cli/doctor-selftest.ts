// The doctor's `--selftest`: the engine's largest errors against references, as checks.
import type { DeviceKind } from "../../ffi/device.ts";
import { UserError } from "../config/errors.ts";
import type { Check } from "./doctor-checks.ts";

/** What cannot be tested is a failed check too: the other checks are still to be shown. */
export async function selftest(kind: DeviceKind): Promise<Check[]> {
  try {
    return await compareAll(kind);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const todo = error.hint === undefined ? {} : { todo: error.hint };
    return [{ name: `selftest ${kind}`, verdict: "failed", detail: error.message, ...todo }];
  }
}

async function compareAll(kind: DeviceKind): Promise<Check[]> {
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
