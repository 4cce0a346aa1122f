// Which device the tests of this folder run on: CUDA, or what ICRL_TEST_DEVICE names, so that the
// tests themselves can be tried where there is no GPU (ICRL_TEST_DEVICE=cpu). Skipped tests say why.

import { test } from "bun:test";
import type { DeviceKind } from "../../ffi/device.ts";
import { cudaDeviceCount } from "../../ffi/native.ts";

export const KIND: DeviceKind = process.env["ICRL_TEST_DEVICE"] === "cpu" ? "cpu" : "cuda";
const isMissing = KIND === "cuda" && cudaDeviceCount() === 0;
const NAME = KIND === "cuda" ? "CUDA" : "the CPU in its place";

/** A test whose name ends with the device, or with the reason why it is skipped. */
export function onDevice(name: string, body: () => void | Promise<void>, timeoutMs = 60_000): void {
  const why = isMissing ? " (skipped: no CUDA device)" : "";
  test.skipIf(isMissing)(`on ${NAME}: ${name}${why}`, body, timeoutMs);
}
