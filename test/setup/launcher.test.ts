// The launcher's words on machines that lack something: a checkout of empty folders and a PATH of chosen tools. Nothing is
// installed here; the whole of a set-up runs in .ci/run.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const base = mkdtempSync(join(tmpdir(), "icrl-launcher-"));
afterAll(() => rmSync(base, { recursive: true }));

let checkout: string;
let bin: string;
let cache: string;
beforeEach(() => {
  checkout = mkdtempSync(join(base, "checkout-"));
  bin = join(checkout, "bin");
  cache = join(checkout, "cache");
  for (const folder of ["src", "bench", "ffi", "kernels", "bin"]) mkdirSync(join(checkout, folder));
  for (const file of ["package.json", "package-lock.json"]) writeFileSync(join(checkout, file), "{}");
  copyFileSync(join(import.meta.dir, "../../icrl"), join(checkout, "icrl"));
  for (const tool of ["sh", "dirname", "readlink", "find", "mkdir", "cat", "flock"]) symlinkSync(Bun.which(tool)!, join(bin, tool));
});

function provide(name: string, script = "exit 0"): void {
  writeScript(join(bin, name), script);
}
function writeScript(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function launch(args: readonly string[] = [], env: Record<string, string> = {}) {
  const options = { env: { PATH: bin, HOME: checkout, ICRL_CACHE: cache, ...env } };
  const run = Bun.spawnSync([join(checkout, "icrl"), ...args], options);
  return { status: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

const PACKAGES = [
  { tool: "node", line: "icrl: node is missing: install the Debian package nodejs\n" },
  { tool: "npm", line: "icrl: npm is missing: install the Debian package npm\n" },
  { tool: "g++", line: "icrl: g++ is missing: install the Debian package g++\n" },
  { tool: "python3", line: "icrl: python3 is missing: install the Debian package python3\n" },
] as const;

describe("a machine that lacks one tool is told its Debian package in one line:", () => {
  for (const { tool, line } of PACKAGES) {
    test(tool, () => {
      for (const it of PACKAGES) if (it.tool !== tool) provide(it.tool, it.tool === "python3" ? NO_TORCH : undefined);
      expect(launch()).toEqual({ status: 1, out: "", err: line });
    });
  }
});

/** A python3 with pip and without torch. */
const NO_TORCH = '[ "$1" = -m ]';

test("a python3 without pip and torch is told the package of pip", () => {
  for (const { tool } of PACKAGES) provide(tool, tool === "python3" ? "exit 1" : undefined);
  expect(launch()).toEqual({ status: 1, out: "", err: "icrl: pip is missing: install the Debian package python3-pip\n" });
});

test("a bare machine is told all that it lacks at once", () => {
  const { err } = launch();
  expect(err).toBe(PACKAGES.map(({ line }) => line).join(""));
});

test("python3 is not asked for where libtorch is named", () => {
  const { err } = launch([], { ICRL_LIBTORCH: "/somewhere" });
  expect(err).not.toContain("python3");
});

describe("with an executable", () => {
  beforeEach(() => {
    mkdirSync(join(checkout, "dist"));
    mkdirSync(join(checkout, "torch"));
    writeScript(join(checkout, "dist", "icrl"), 'echo "ran $#: $*"; exit 3');
    writeFileSync(join(checkout, "dist", "made-for"), `${cache}\n${join(checkout, "torch")}\n`);
    const later = Date.now() / 1000 + 60;
    utimesSync(join(checkout, "dist", "icrl"), later, later);
  });

  test("that is current, the launcher becomes it: arguments and status pass through", () => {
    expect(launch(["run", "a b"])).toEqual({ status: 3, out: "ran 2: run a b\n", err: "" });
  });

  test("ICRL_SETUP_ONLY=1 stops before it", () => {
    expect(launch(["run"], { ICRL_SETUP_ONLY: "1" })).toEqual({ status: 0, out: "", err: "" });
  });

  const STALE: Readonly<Record<string, () => void>> = {
    "a source is newer": () => touchLater(join(checkout, "src", "new.ts")),
    "the lock file is newer": () => touchLater(join(checkout, "package-lock.json")),
    "its libtorch is gone": () => rmSync(join(checkout, "torch"), { recursive: true }),
    "the cache folder is another": () => writeFileSync(join(checkout, "dist", "made-for"), `/x\n${join(checkout, "torch")}\n`),
  };
  for (const [claim, change] of Object.entries(STALE)) {
    test(`set-up runs again when ${claim}`, () => {
      change();
      expect(launch()).toMatchObject({ status: 1, out: "", err: expect.stringContaining("npm is missing") });
    });
  }

  function touchLater(path: string): void {
    writeFileSync(path, "");
    const later = Date.now() / 1000 + 120;
    utimesSync(path, later, later);
  }
});

test("npm failing stops the set-up", () => {
  for (const { tool } of PACKAGES) provide(tool);
  provide("npm", "echo 'npm error network' >&2; exit 1");
  const { status, err } = launch();
  expect(err).toBe("icrl: installing the npm packages\nnpm error network\n");
  expect(status).toBe(1);
});
