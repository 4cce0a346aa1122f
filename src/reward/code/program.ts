// The program that an answer stands for. The code is the last fenced block, or all of the answer
// where there is no fence. For a HumanEval task it is either whole or a completion of the prompt:
// whole where it defines the function asked for at the left margin, and then the prompt's imports
// and helpers come before it; else it continues the prompt. Pure; nothing is run here.

import type { CodeTests } from "../../types.ts";
import { escape } from "../tags.ts";

/** Undefined where the answer holds no code. */
export function programOf(answer: string, tests: CodeTests): string | undefined {
  const code = codeIn(answer);
  if (code.trim() === "") return undefined;
  if (tests.kind === "mbpp") return code;
  const { prompt, entryPoint } = tests;
  if (defines(code, entryPoint)) return `${preamble(prompt, entryPoint)}${code}`;
  return `${prompt.trimEnd()}\n${asBody(code)}`;
}

/** An opening fence that is never closed reaches to the end: a box or a limit may have cut it. */
export function codeIn(answer: string): string {
  const fences = [...answer.matchAll(/^[ \t]*```[^\n`]*\n([^]*?)(?:^[ \t]*```|$(?![^]))/gm)];
  return (fences.at(-1)?.[1] ?? answer).replace(/^(?:[ \t]*\n)+/, "").trimEnd();
}

const defines = (code: string, name: string): boolean => definition(name).test(code);
const definition = (name: string): RegExp =>
  new RegExp(`^(?:async )?def ${escape(name)}\\s*\\(`, "m");

/** What the prompt has before the function that is asked for. */
function preamble(prompt: string, entryPoint: string): string {
  const start = prompt.search(definition(entryPoint));
  return start <= 0 ? "" : `${prompt.slice(0, start).trimEnd()}\n\n\n`;
}

const LEVEL = 4;

/**
 * A completion indented as a body. An answer loses the white space it begins with: where only the
 * first line stands at the margin, that line alone is moved.
 */
function asBody(code: string): string {
  const [first = "", ...rest] = code.split("\n");
  if (indentOf(first) > 0) return code;
  const next = rest.find((line) => line.trim() !== "");
  const opensBlock = first.trimEnd().endsWith(":");
  const onlyFirst = next !== undefined && indentOf(next) >= (opensBlock ? 2 * LEVEL : LEVEL);
  const indented = (line: string): string => (line.trim() === "" ? line : " ".repeat(LEVEL) + line);
  return [indented(first), ...(onlyFirst ? rest : rest.map(indented))].join("\n");
}

const indentOf = (line: string): number => /^[ \t]*/.exec(line)![0].replaceAll("\t", "    ").length;
