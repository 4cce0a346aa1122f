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

export async function selftest(_device: DeviceName): Promise<Check[]> {
  return [{ name: "selftest", verdict: "note", detail: "not in this build yet" }];
}
