// symbols.ts says the same as icrl.h: names, arguments one by one, results, and the ABI number.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ABI, symbols } from "../../ffi/symbols.ts";

const header = readFileSync(join(import.meta.dir, "../../ffi/icrl.h"), "utf8").replace(
  /\/\*.*?\*\//gs,
  "",
);

/** A C declaration's type as bun:ffi names it. */
function ffiType(declaration: string): string {
  if (declaration.includes("*")) return "ptr";
  const type = declaration
    .replace(/\bconst\b/, "")
    .trim()
    .split(/\s+/)[0]!;
  const known = { int32_t: "i32", uint32_t: "u32", int64_t: "i64", double: "f64", void: "void" };
  const found = known[type as keyof typeof known];
  if (found === undefined) throw new Error(`no such type in the API: ${declaration}`);
  return found;
}

function declared(): Record<string, { args: string[]; returns: string }> {
  const functions = header.matchAll(/^(\w+)\s+(icrl_\w+)\(([^)]*)\);/gm);
  return Object.fromEntries(
    [...functions].map(([, returns, name, list]) => {
      const args =
        list!.trim() === "void" || list!.trim() === "" ? [] : list!.split(",").map(ffiType);
      return [name, { args, returns: ffiType(returns!) }];
    }),
  );
}

test("the header declares the API", () => {
  expect(Object.keys(declared()).length).toBeGreaterThan(25);
});

test("every function of icrl.h is bound with its arguments and result, and no other", () => {
  const bound = Object.entries(symbols).map(([name, { args, returns }]) => [
    name,
    { args: [...args], returns },
  ]);
  expect(Object.fromEntries(bound)).toEqual(declared());
});

test("the ABI number is the header's", () => {
  expect(header).toMatch(new RegExp(`^#define ICRL_ABI ${ABI}$`, "m"));
});
