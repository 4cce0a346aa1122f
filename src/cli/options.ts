// Readers of option values that several commands share. They throw what main shows as wrong usage.

import type { DeviceKind } from "../../ffi/device.ts";
import { suggestion, UserError } from "../config/errors.ts";

/** For an option that may be repeated. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

export function parseCount(option: string, smallest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= smallest) return value;
    const hint = `a whole number, at least ${smallest}`;
    throw new UserError(`"${text}" is no value for ${option}`, { hint, exitCode: 2 });
  };
}

/** `--replay FILE`, as an override of the recipe. */
export function replayed(file: string | undefined): readonly string[] {
  return file === undefined ? [] : [`replay=${JSON.stringify(file)}`];
}

const DEVICES: readonly DeviceKind[] = ["cpu", "cuda"];

export function parseDevice(text: string): DeviceKind {
  const found = DEVICES.find((kind) => kind === text);
  if (found !== undefined) return found;
  throw new UserError(`there is no device "${text}"`, { hint: suggestion(text, DEVICES), exitCode: 2 });
}
