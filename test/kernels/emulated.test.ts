// Every CUDA kernel, run on the CPU by the emulator, does what plain loops in double do, at sizes that divide nothing, and the
// same to the bit in whatever order its threads and blocks run. The programs are in this folder, one a kernel.

import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { basename, join } from "node:path";
import { program, whyNot } from "./emulated.ts";

const COMPILE_MS = 180_000;
const KERNELS = [...new Glob("*.cu").scanSync({ cwd: join(import.meta.dir, "../../kernels") })]
  .map((unit) => basename(unit, ".cu"))
  .toSorted();

describe.skipIf(whyNot !== "")(`emulated CUDA kernels${whyNot}`, () => {
  test.each(KERNELS)(
    "%s agrees with plain loops in every order",
    async (kernel) => {
      const run = Bun.spawn([await program(kernel)], { stderr: "pipe" });
      const lines = (await new Response(run.stdout).text()).trimEnd().split("\n");
      const problem = await new Response(run.stderr).text();
      expect(lines.filter((line) => line.endsWith("FAILED"))).toEqual([]);
      expect(await run.exited, problem).toBe(0);
      expect(lines.length).toBeGreaterThan(20);
    },
    COMPILE_MS,
  );

  test.each([
    "missing barrier",
    "half a barrier",
    "beyond shared memory",
    "beyond an array",
    "unaligned vector",
    "copy without its wait",
  ])(
    "the emulator notices this mistake: %s",
    async (fault) => {
      const run = Bun.spawn([await program("faults"), fault], { stderr: "ignore" });
      expect(await run.exited).not.toBe(0);
    },
    COMPILE_MS,
  );
});
