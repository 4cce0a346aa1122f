// What a tool gets to see of the environment: what its recipe names, and for a process PATH.

import { UserError } from "../config/errors.ts";
import { filled } from "../config/placeholders.ts";

/** Looks up variables of the environment for a tool, which have to be there. */
export function environmentOf(tool: string, key: string): (variable: string) => string {
  return (variable) => {
    const value = process.env[variable];
    if (value !== undefined && value !== "") return value;
    const what = `the environment has no ${variable}, which tool ${tool} needs`;
    throw new UserError(what, { where: `tool.${tool}.${key}`, hint: `export ${variable}=...` });
  };
}

/** What a process of a tool gets to see. */
export function processEnvironment(
  tool: string,
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  const variable = environmentOf(tool, "env");
  const own = mapValues(env, (text) => filled(text, (name) => `{${name}}`, variable));
  return { PATH: process.env["PATH"] ?? "", ...own };
}

export function mapValues(
  map: Readonly<Record<string, string>>,
  change: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, text]) => [key, change(text)]));
}
