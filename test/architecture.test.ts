// The shape of the code, read from its imports: arrows point right, siblings do not know each other, and what is dangerous
// stands in one place.
import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const FILES = [...new Glob("{src,ffi,bench}/**/*.ts").scanSync({ cwd: ROOT })].toSorted();

/** main -> cli -> bench, train -> ... -> ffi: an import may go to a larger rank, or stay in its own folder. */
const RANKS: Readonly<Record<string, number>> = {
  main: 0,
  cli: 1,
  bench: 1.5, // `icrl bench` runs what lies there
  train: 2,
  serve: 2,
  rollout: 3,
  curriculum: 3,
  reward: 4,
  tools: 5,
  data: 6,
  model: 7,
  ffi: 8,
};
const LEAVES = ["types", "config", "run"] as const;

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The folder below src that a file belongs to; "main" and "types" are files. */
function areaOf(path: string): string {
  const top = path.split("/")[0]!;
  if (top !== "src") return top;
  return path.split("/")[1]!.replace(/\.ts$/, "");
}

function importsOf(path: string, text: string): Import[] {
  const found = text.matchAll(/(?:from\s+|import\s+|import\(\s*)["'](\.[^"']+)["']/g);
  return [...found].map(([, target = ""]) => ({ from: path, to: join(dirname(path), target) }));
}

/** Why an import is refused, or undefined. */
function fault({ from, to }: Import): string | undefined {
  if (to === "package.json") return undefined;
  const [a, b] = [areaOf(from), areaOf(to)];
  if (a === b || LEAVES.some((leaf) => leaf === b)) return undefined;
  if (LEAVES.some((leaf) => leaf === a)) return `${from} -> ${to}: a leaf imports only leaves`;
  const [x, y] = [RANKS[a], RANKS[b]];
  if (x === undefined || y === undefined) return `${from} -> ${to}: a folder without a rank`;
  if (x === y) return `${from} -> ${to}: siblings`;
  return x < y ? undefined : `${from} -> ${to}: the arrow points left`;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

test("imports point right only, never to a sibling", () => {
  const faults = FILES.flatMap((path) => importsOf(path, read(path))).map(fault);
  expect(faults.filter((it) => it !== undefined)).toEqual([]);
});

describe("the rule finds", () => {
  const CASES: readonly [string, string, string | undefined][] = [
    ["src/model/a.ts", 'import { b } from "../train/b.ts";', "the arrow points left"],
    ["src/rollout/a.ts", 'import type { b } from "../curriculum/b.ts";', "siblings"],
    ["src/train/a.ts", 'await import("../cli/b.ts");', "the arrow points left"],
    ["src/config/a.ts", 'import "../reward/b.ts";', "a leaf imports only leaves"],
    ["ffi/a.ts", 'import { b } from "../src/model/b.ts";', "the arrow points left"],
    ["src/new/a.ts", 'import { b } from "../model/b.ts";', "a folder without a rank"],
    ["src/train/a.ts", 'import { b } from "../../bench/b.ts";', "the arrow points left"],
    ["src/cli/a.ts", 'import { b } from "../../ffi/b.ts";', undefined],
    ["ffi/a.ts", 'import { b } from "../src/config/b.ts";', undefined],
  ];
  for (const [path, text, expected] of CASES) {
    test(`${expected ?? "nothing"} in ${path}: ${text}`, () => {
      const [only] = importsOf(path, text);
      const found = fault(only!);
      expect(found === undefined ? undefined : found.split(": ")[1]).toBe(expected);
    });
  }
});

test("libraries are opened in one file", () => {
  const openers = FILES.filter((path) => /\bdlopen\(/.test(read(path)));
  expect(openers).toEqual(["ffi/loader.ts"]);
});

test("bun:ffi is imported only under ffi/", () => {
  const users = FILES.filter((path) => read(path).includes('"bun:ffi"'));
  expect(users.filter((path) => !path.startsWith("ffi/"))).toEqual([]);
});

test("every import of a file says its extension", () => {
  const targets = FILES.flatMap((path) => importsOf(path, read(path)));
  expect(targets.filter(({ to }) => !/\.\w+$/.test(to))).toEqual([]);
});
