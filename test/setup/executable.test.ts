// dist/icrl copied alone to an empty folder, as a person would take it to another machine. `npm test` builds it first;
// without it these tests are skipped.
//
// On request: ICRL_TEST_LIBTORCH=FOLDER names a torch of another version (headers included), for which the copy has to
// compile its embedded engine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check } from "../../src/cli/doctor-checks.ts";
import { findLibtorch, thisMachine } from "../../ffi/libtorch.ts";

const BUILT = join(import.meta.dir, "../../dist/icrl");
const OTHER = process.env["ICRL_TEST_LIBTORCH"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "icrl-alone-"));
  if (existsSync(BUILT)) copyFileSync(BUILT, join(folder, "icrl"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function alone(args: readonly string[], env: Record<string, string>): Ran {
  const options = { cwd: folder, env: { PATH: process.env["PATH"]!, HOME: folder, ...env } };
  const run = Bun.spawnSync([join(folder, "icrl"), ...args], options);
  return { status: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

function check(ran: Ran, name: string): Check | undefined {
  return (JSON.parse(ran.out) as { checks: Check[] }).checks.find((it) => it.name === name);
}

describe.skipIf(!existsSync(BUILT))("the executable alone", () => {
  const libtorch = existsSync(BUILT) ? findLibtorch(thisMachine()).root : "";

  test("finds its engine inside itself, and puts it into the cache folder once", () => {
    const cache = join(folder, "cache");
    for (const _ of [1, 2]) {
      const ran = alone(["doctor", "--json"], { ICRL_LIBTORCH: libtorch, ICRL_CACHE: cache });
      expect(ran).toMatchObject({ status: 0, err: "" });
      expect(check(ran, "engine")).toMatchObject({ verdict: "ok", detail: expect.stringContaining("embedded, ") });
      expect(readdirSync(join(cache, "engine"))).toHaveLength(1);
    }
  });

  test("trains a stage and evaluates it, with nothing beside it", () => {
    const small = { "stages.0.steps": 1, "rollout.prompts_per_step": 1, "rollout.samples_per_prompt": 2, "eval.limit": 1, "eval.shots": "[0]" };
    const settings = Object.entries(small).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    const env = { ICRL_LIBTORCH: libtorch, ICRL_CACHE: join(folder, "cache") };
    const { status, out } = alone(["run", "stage1", "--run", "run", "--json", ...settings], env);
    const summary = JSON.parse(out.trim().split("\n").at(-1)!) as { type: string; evals: { stage: string; shots: number }[] };
    expect(summary.type).toBe("summary");
    expect(summary.evals.map(({ stage, shots }) => `${stage}:${shots}`)).toEqual(["base:0", "stage1:0"]);
    expect(status).toBe(0);
  }, 60_000);

  test("scores with a reward file in TypeScript or Python that lies beside it", async () => {
    const row = { prompt: "p", response: "<answer>b</answer>", golds: ["b"] };
    await Bun.write(join(folder, "rows.jsonl"), JSON.stringify(row));
    await Bun.write(join(folder, "half.ts"), "export const half: number = 0.5;");
    await Bun.write(join(folder, "my.ts"), 'import { half } from "./half.ts";\nexport default () => half;');
    await Bun.write(join(folder, "my.py"), "def reward(golds, **rest):\n    return len(golds) / 2");
    for (const file of ["my.ts", "my.py"]) {
      const ran = alone(["reward", "--file-reward", file, "--file", "rows.jsonl", "--json"], {});
      expect(ran).toMatchObject({ status: 0, err: "" });
      expect(JSON.parse(ran.out)).toMatchObject({ ...row, reward: 0.5 });
    }
  }, 60_000);

  test("runs with a cache folder that cannot be made, and says so", () => {
    const ran = alone(["doctor", "--json"], { ICRL_LIBTORCH: libtorch, ICRL_CACHE: "/proc/none" });
    expect(ran.status).toBe(0);
    expect(check(ran, "engine")).toMatchObject({ verdict: "note", detail: expect.stringContaining("in memory") });
  });

  test("without a libtorch says in one line what to install", () => {
    const { status, err } = alone(["run", "stage1"], { ICRL_CACHE: join(folder, "none"), PATH: "/nowhere" });
    expect(err).toContain("no libtorch was found");
    expect(err).toContain("pip install --no-deps");
    expect(err.trim().split("\n")).toHaveLength(1);
    expect(status).toBe(1);
  });

  test("ignores an .env and a bunfig of the folder that it stands in", async () => {
    await Bun.write(join(folder, ".env"), "ICRL_LIBTORCH=/nowhere\n");
    await Bun.write(join(folder, "bunfig.toml"), 'preload = ["./missing.ts"]\n');
    expect(alone(["--version"], {}).status).toBe(0);
    const ran = alone(["doctor", "--json"], { ICRL_CACHE: join(folder, "none"), PATH: "/nowhere" });
    expect(check(ran, "libtorch")?.detail).toBe("no libtorch was found");
  });

  test.skipIf(OTHER === undefined)("given ICRL_TEST_LIBTORCH, compiles its engine for that once, and computes the same", () => {
    const cache = join(folder, "other");
    mkdirSync(cache);
    const env = { ICRL_LIBTORCH: OTHER!, ICRL_CACHE: cache };
    const first = alone(["doctor", "--selftest", "--json"], env);
    expect(first.err).toContain("compiling the engine for libtorch");
    expect(first.status).toBe(0);
    expect(check(first, "engine")?.detail).toContain("compiled on this machine");
    expect(alone(["doctor", "--json"], env)).toMatchObject({ status: 0, err: "" });
    expect(readdirSync(join(cache, "engine"))).toHaveLength(1);
  }, 600_000);

  test.skipIf(OTHER === undefined)("given ICRL_TEST_LIBTORCH, without a compiler says which package has one", () => {
    const env = { ICRL_LIBTORCH: OTHER!, ICRL_CACHE: join(folder, "bare"), PATH: "/nowhere" };
    const { checks } = JSON.parse(alone(["doctor", "--json"], env).out) as { checks: Check[] };
    expect(checks.find((it) => it.name === "libtorch")?.todo).toBe("install g++ (Debian package g++)");
  });
});
