// What set-up installs beside a CUDA wheel, whose libtorch_cpu links to two CUDA libraries even on a processor.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCompiler } from "../../ffi/build/compile.ts";
import { cudaRuntime } from "../../ffi/build/install-libtorch.ts";
import { UserError } from "../../src/config/errors.ts";

const base = mkdtempSync(join(tmpdir(), "icrl-wheel-"));
afterAll(() => rmSync(base, { recursive: true }));

function makeWheel(cuda: string, requirements: readonly string[]): string {
  const target = mkdtempSync(join(base, "target-"));
  mkdirSync(join(target, "torch"));
  mkdirSync(join(target, "torch-2.13.0.dist-info"));
  writeFileSync(join(target, "torch", "version.py"), `__version__ = '2.13.0'\ncuda: Optional[str] = ${cuda}\n`);
  const lines = requirements.map((it) => `Requires-Dist: ${it}\n`);
  writeFileSync(join(target, "torch-2.13.0.dist-info", "METADATA"), `Name: torch\n${lines.join("")}`);
  return target;
}

const WHEELS = [
  { claim: "a CPU wheel needs nothing", cuda: "None", requirements: ["filelock"], expected: [] },
  {
    claim: "the versions that the wheel states are taken",
    cuda: "'12.8'",
    requirements: [
      'nvidia-cuda-runtime-cu12==12.8.90; platform_system == "Linux"',
      'nvidia-cuda-cupti-cu12==12.8.91; platform_system == "Linux"',
      "nvidia-cudnn-cu12==9.10.2.21",
    ],
    expected: ["nvidia-cuda-runtime-cu12==12.8.90", "nvidia-cuda-cupti-cu12==12.8.91"],
  },
  {
    claim: "a wheel that states only the toolkit gets those of its CUDA version",
    cuda: "'13.0'",
    requirements: ['cuda-toolkit[cudart,cupti]==13.0.3; platform_system == "Linux"'],
    expected: ["nvidia-cuda-runtime==13.0.*", "nvidia-cuda-cupti==13.0.*"],
  },
] as const;

describe("beside a wheel:", () => {
  for (const { claim, cuda, requirements, expected } of WHEELS) {
    test(claim, () => expect(cudaRuntime(makeWheel(cuda, requirements))).toEqual([...expected]));
  }
});

test("a machine without a C++ compiler is told the Debian package", () => {
  expect(() => findCompiler(base)).toThrow(UserError);
  expect(() => findCompiler(base)).toThrow("a C++ compiler is needed");
});
