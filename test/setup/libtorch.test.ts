// Which libtorch wins, on machines made of folders: no torch is loaded here.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compareVersions, findLibtorch, listCandidates, type Machine } from "../../ffi/libtorch.ts";
import { UserError } from "../../src/config/errors.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "icrl-libtorch-"));
  for (const [name, parts] of Object.entries(TORCHES)) makeTorch(join(root, name), parts);
  mkdirSync(join(root, "empty"));
});
afterAll(() => rmSync(root, { recursive: true }));

interface Torch {
  readonly version: string;
  readonly isCuda?: boolean;
  readonly noHeaders?: boolean;
}
const TORCHES: Readonly<Record<string, Torch>> = {
  "py213/torch": { version: "2.13.0+cpu" },
  "py214/torch": { version: "2.14.1+cu130", isCuda: true },
  "py29/torch": { version: "2.9.1+cpu" },
  "pyBare/torch": { version: "2.14.1+cpu", noHeaders: true },
  "cache/libtorch/2.13.0/torch": { version: "2.13.0+cpu" },
  "cacheOld/libtorch/2.14.1/torch": { version: "2.14.1+cpu" },
};

function makeTorch(folder: string, { version, isCuda, noHeaders }: Torch): void {
  const files = ["lib/libtorch_cpu.so"];
  if (isCuda) files.push("lib/libtorch_cuda.so");
  if (!noHeaders) files.push("include/ATen/ATen.h");
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  writeFileSync(join(folder, "version.py"), `__version__ = '${version}'\ncuda = None\n`);
}

interface Case {
  readonly claim: string;
  readonly named?: string;
  readonly python?: string;
  readonly cache?: string;
  readonly hasGpu?: boolean;
  readonly wins: string;
}

function machineOf({ named, python, cache = "empty", hasGpu = false }: Omit<Case, "claim" | "wins">): Machine {
  return {
    env: named === undefined ? {} : { ICRL_LIBTORCH: join(root, named) },
    cacheDir: join(root, cache),
    hasGpu,
    pythonTorch: () => (python === undefined ? undefined : join(root, python)),
  };
}

const WINNERS: readonly Case[] = [
  { claim: "the managed copy of the pinned version", cache: "cache", python: "py214/torch", wins: "cache/libtorch/2.13.0/torch" },
  { claim: "python's where there is no managed copy", python: "py214/torch", wins: "py214/torch" },
  { claim: "python's of the pinned version over a managed other one", python: "py213/torch", cache: "cacheOld", wins: "py213/torch" },
  { claim: "the managed one over a python one that is too old", python: "py29/torch", cache: "cacheOld", wins: "cacheOld/libtorch/2.14.1/torch" },
  { claim: "a CUDA one on a machine with a GPU", hasGpu: true, python: "py214/torch", cache: "cache", wins: "py214/torch" },
  { claim: "a CPU one on a machine with a GPU and no CUDA build", hasGpu: true, python: "py213/torch", cache: "cache", wins: "cache/libtorch/2.13.0/torch" },
  { claim: "the named one over everything", named: "py214/torch", hasGpu: false, cache: "cache", wins: "py214/torch" },
  { claim: "the torch folder inside a named folder", named: "py214", cache: "cache", wins: "py214/torch" },
];

describe("the libtorch in use is", () => {
  for (const { claim, wins, ...parts } of WINNERS) {
    test(claim, () => expect(findLibtorch(machineOf(parts)).root).toBe(join(root, wins)));
  }
});

const REFUSALS = [
  { claim: "nothing found", message: "no libtorch was found" },
  { claim: "a version that is too old", python: "py29/torch", message: "2.9.1 is older than 2.11.0" },
  { claim: "no headers to compile against", python: "pyBare/torch", message: "it has no headers" },
  { claim: "a named folder without libtorch, whatever else there is", named: "empty", cache: "cache", message: "libtorch_cpu.so" },
] as const;

describe("an error for a person names", () => {
  for (const { claim, message, ...parts } of REFUSALS) {
    test(claim, () => {
      const find = () => findLibtorch(machineOf(parts));
      expect(find).toThrow(UserError);
      expect(find).toThrow(message);
    });
  }
});

test("a machine without libtorch is told the pip command for its own cache folder", () => {
  const machine = machineOf({});
  const hint = caught(() => findLibtorch(machine)).hint;
  expect(hint).toContain(`pip install --no-deps --target ${machine.cacheDir}/libtorch/2.13.0 torch==2.13.0`);
});

function caught(call: () => unknown): UserError {
  try {
    call();
  } catch (error) {
    if (error instanceof UserError) return error;
  }
  throw new Error("no UserError");
}

test("the list for people keeps the candidates that do not fit, with the reason", () => {
  const [python, managed] = listCandidates(machineOf({ python: "py29/torch", cache: "cache" }));
  expect(python).toMatchObject({ fits: false, source: "python3", reason: "version 2.9.1 is older than 2.11.0" });
  expect(managed).toMatchObject({ fits: true, libtorch: { source: "managed", version: "2.13.0", build: "cpu", hasCuda: false } });
});

test("python3 is not started when the managed copy cannot be beaten", () => {
  const pythonTorch = () => {
    throw new Error("started");
  };
  expect(findLibtorch({ ...machineOf({ cache: "cache" }), pythonTorch }).source).toBe("managed");
});

test("versions compare by number, not by letter", () => {
  expect(compareVersions("2.9.1", "2.11.0")).toBeLessThan(0);
  expect(compareVersions("2.13", "2.13.0")).toBe(0);
  expect(compareVersions("3.0", "2.99.9")).toBeGreaterThan(0);
});
