// The command line as a person meets it: one process a case, since exit statuses are part of the contract.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pkg from "../../package.json";

const MAIN = join(import.meta.dir, "../../src/main.ts");

function icrl(args: readonly string[], env: Record<string, string> = {}) {
  const options = { env: { ...process.env, NO_COLOR: "1", ...env } };
  const run = Bun.spawnSync([process.execPath, MAIN, ...args], options);
  return { status: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

const WRONG = [
  { args: ["doctr"], says: "unknown command 'doctr'\n(Did you mean doctor?)" },
  { args: ["doctor", "--jsn"], says: "unknown option '--jsn'\n(Did you mean --json?)" },
  { args: ["doctor", "extra"], says: "too many arguments" },
  { args: ["pretrain", "nano", "--device", "gpu"], says: "there is no device" },
  { args: ["doctor", "--device", "gpu"], says: 'there is no device "gpu" - did you mean "cpu"?' },
] as const;

describe("wrong usage exits with 2 and a suggestion:", () => {
  for (const { args, says } of WRONG) {
    test(args.join(" "), () => {
      const { status, out, err } = icrl(args);
      expect(err).toContain(says);
      expect(err).toStartWith("icrl: ");
      expect({ status, out }).toEqual({ status: 2, out: "" });
    });
  }
});

test("--version is that of the package", () => {
  expect(icrl(["--version"])).toMatchObject({ status: 0, out: `${pkg.version}\n` });
});

test("--help lists the commands and succeeds", () => {
  const { status, out } = icrl(["--help"]);
  expect(out).toContain("doctor");
  expect(status).toBe(0);
});

test("a device that the machine lacks is one line, not a stack", () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-device-"));
  const args = ["run", "--set", "policy.device=cuda", "--run", join(folder, "run")];
  const { status, out, err } = icrl(args, { CUDA_VISIBLE_DEVICES: "" });
  rmSync(folder, { recursive: true });
  expect(err).toStartWith("icrl: there is no CUDA device");
  expect(err.trim().split("\n")).toHaveLength(1);
  expect({ status, out }).toEqual({ status: 1, out: "" });
});
