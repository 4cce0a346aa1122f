import { expect, test } from "bun:test";
import { join } from "node:path";

const SCRIPT = `
import { Device } from "${join(import.meta.dir, "../../ffi/device.ts")}";
import { selftest } from "${join(import.meta.dir, "../../ffi/selftest.ts")}";
import { setThreads } from "${join(import.meta.dir, "../../ffi/native.ts")}";
setThreads(1);
using device = Device.open("cpu");
const { isa } = device.describe();
const failed = (await selftest(device)).filter(({ ok }) => !ok).map(({ name }) => name);
console.log(JSON.stringify({ isa, failed }));
`;

test.each(["base", "avx2", "none"])("the kernels for %s pass the self-test", (isa) => {
  const run = Bun.spawnSync([process.execPath, "-e", SCRIPT], { env: { ...process.env, ICRL_ISA: isa } });
  expect(run.stderr.toString()).toBe("");
  expect(JSON.parse(run.stdout.toString())).toEqual({ isa, failed: [] });
});
