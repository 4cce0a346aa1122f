import { expect, test } from "bun:test";
import { oldSystem } from "../../ffi/loader.ts";

test("a system that is too old for the embedded engine is told what it lacks, and what to do", () => {
  const loader = "libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /c/engine.so)";
  const error = oldSystem(new Error(`Failed to open library "/c/engine.so": ${loader}`));
  expect(error?.message).toBe("the engine does not load: this system has no GLIBCXX_3.4.29");
  expect(error?.hint).toContain("glibc 2.34");
  expect(oldSystem(new Error("undefined symbol: x"))).toBeUndefined();
});
