// The command line as a person meets it: one process a case, since exit statuses are part of the contract.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import pkg from "../../package.json";

const MAIN = join(import.meta.dir, "../../src/main.ts");

function icrl(...args: string[]) {
  const run = Bun.spawnSync([process.execPath, MAIN, ...args], { env: { ...process.env, NO_COLOR: "1" } });
  return { status: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

const WRONG = [
  { args: ["doctr"], says: "unknown command 'doctr'\n(Did you mean doctor?)" },
  { args: ["doctor", "--jsn"], says: "unknown option '--jsn'\n(Did you mean --json?)" },
  { args: ["doctor", "extra"], says: "too many arguments" },
  { args: ["doctor", "--device", "gpu"], says: 'there is no device "gpu" - did you mean "cpu"?' },
] as const;

describe("wrong usage exits with 2 and a suggestion:", () => {
  for (const { args, says } of WRONG) {
    test(args.join(" "), () => {
      const { status, out, err } = icrl(...args);
      expect(err).toContain(says);
      expect(err).toStartWith("icrl: ");
      expect({ status, out }).toEqual({ status: 2, out: "" });
    });
  }
});

test("--version is that of the package", () => {
  expect(icrl("--version")).toMatchObject({ status: 0, out: `${pkg.version}\n` });
});

test("--help lists the commands and succeeds", () => {
  const { status, out } = icrl("--help");
  expect(out).toContain("doctor");
  expect(status).toBe(0);
});
