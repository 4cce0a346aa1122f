// What makes the engine compile again, and what does not.
import { describe, expect, test } from "bun:test";
import { engineKey } from "../../ffi/build/compile.ts";
import type { Libtorch } from "../../ffi/libtorch.ts";
import { engineSources, hashOf, withIncludes } from "../../ffi/sources.ts";

const SOURCES = {
  "ffi/icrl.h": "int a;",
  "ffi/engine/one.cpp": '#include "icrl.h"\n#include "two.h"\n#include <vector>\n',
  "ffi/engine/two.h": '#include "kernels.h"\n',
  "ffi/engine/three.cpp": "int c;",
  "kernels/kernels.h": '#include "two.h"\n',
};
const LIBTORCH: Libtorch = {
  source: "managed",
  root: "/nowhere",
  version: "2.13.0",
  build: "cpu",
  hasCuda: false,
  hasHeaders: true,
};

test("a unit depends on what it includes, through other folders and circles, each once", () => {
  const expected = ["ffi/engine/one.cpp", "ffi/icrl.h", "ffi/engine/two.h", "kernels/kernels.h"];
  expect(withIncludes(SOURCES, "ffi/engine/one.cpp")).toEqual(expected);
  expect(withIncludes(SOURCES, "ffi/engine/three.cpp")).toEqual(["ffi/engine/three.cpp"]);
});

describe("the key of an engine changes with", () => {
  const key = engineKey(SOURCES, LIBTORCH);
  test("the text of a source", () => {
    expect(engineKey({ ...SOURCES, "kernels/kernels.h": "int b;" }, LIBTORCH)).not.toBe(key);
  });
  test("the version of libtorch", () => {
    expect(engineKey(SOURCES, { ...LIBTORCH, version: "2.14.1" })).not.toBe(key);
  });
});

test("the key of an engine is the same for the CPU and the CUDA build of a version, wherever it lies", () => {
  const other = { ...LIBTORCH, root: "/elsewhere", build: "cu130", hasCuda: true };
  expect(engineKey(SOURCES, other)).toBe(engineKey(SOURCES, LIBTORCH));
});

test("two texts do not hash like their concatenation", () => {
  expect(hashOf("ab", "c")).not.toBe(hashOf("a", "bc"));
});

test("the checkout's sources are found: the C API and at least one unit of the engine and of the kernels", () => {
  const paths = Object.keys(engineSources());
  expect(paths).toContain("ffi/icrl.h");
  expect(paths.some((path) => /^ffi\/engine\/.*\.cpp$/.test(path))).toBe(true);
  expect(paths.some((path) => /^kernels\/.*\.cpp$/.test(path))).toBe(true);
});
