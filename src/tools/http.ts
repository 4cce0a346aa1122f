// Any HTTP endpoint as a tool, described in the recipe: method, address, headers, query and body
// with the call's parameters put in, and where in a JSON answer the text is. Values are encoded for
// the place where they stand. A status that blames the request is the call's fault; others are the
// server's and may pass.

import { filled, onlyParameter } from "../config/placeholders.ts";
import { type Arguments, argumentText, canonical, parseArguments } from "./arguments.ts";
import type { RecordableTool } from "./recorded.ts";
import { MAX_DETAIL, parseJson, requestText, StatusError, type ToolRequest } from "./request.ts";
import { InvalidCallError, type ToolSpec } from "./tool.ts";

export interface HttpOptions {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** A text, or what is sent as JSON. */
  readonly body?: unknown;
  /** A dotted path into the JSON answer; absent: the answer as it is. */
  readonly result?: string | undefined;
  readonly maxBytes: number;
}

/** The request itself can't be answered; a missing or wrong key is not meant. */
const BLAMES_THE_CALL: readonly number[] = [400, 404, 410, 413, 414, 422];

export class HttpTool implements RecordableTool {
  /** `variable`: of the environment, by name. */
  constructor(
    readonly name: string,
    readonly spec: ToolSpec,
    private readonly options: HttpOptions,
    private readonly variable: (name: string) => string,
  ) {}

  /** With the names of variables, not their values. */
  get identity() {
    const { method, url, query, body, result } = this.options;
    return { kind: "http", settings: { method, url, query, body, result } };
  }

  normalise(input: string): string {
    return canonical(parseArguments(this.spec, input));
  }

  async call(input: string, signal: AbortSignal): Promise<string> {
    try {
      const answer = await requestText(this.request(parseArguments(this.spec, input)), signal);
      return this.resultOf(answer);
    } catch (error) {
      if (error instanceof StatusError && BLAMES_THE_CALL.includes(error.status)) {
        throw new InvalidCallError(`${this.name} has no answer to this (status ${error.status}).`);
      }
      throw error;
    }
  }

  private request(values: Arguments): ToolRequest {
    const { method, headers, body, maxBytes } = this.options;
    const isText = typeof body === "string";
    const sent = isText ? this.text(body, values) : JSON.stringify(this.json(body, values));
    const type: Record<string, string> =
      body === undefined || isText ? {} : { "content-type": "application/json" };
    const own = Object.entries(headers).map(([key, value]) => [key, this.text(value, {})]);
    return {
      url: this.address(values),
      method,
      headers: { ...type, ...Object.fromEntries(own) },
      ...(body === undefined ? {} : { body: sent }),
      maxBytes,
    };
  }

  private address(values: Arguments): string {
    const { url, query } = this.options;
    const address = new URL(this.text(url, values, encodeURIComponent));
    for (const [key, template] of Object.entries(query)) {
      const only = onlyParameter(template);
      if (only !== undefined && values[only] === undefined) continue;
      address.searchParams.set(key, this.text(template, values));
    }
    return address.href;
  }

  private text(template: string, values: Arguments, encode = (text: string) => text): string {
    const parameter = (name: string): string => encode(argumentText(values[name]));
    return filled(template, parameter, this.variable);
  }

  /** A text that is a parameter alone becomes its value, of whatever type. */
  private json(template: unknown, values: Arguments): unknown {
    if (typeof template === "string") {
      const only = onlyParameter(template);
      return only === undefined ? this.text(template, values) : values[only];
    }
    if (Array.isArray(template)) return template.map((each) => this.json(each, values));
    if (typeof template !== "object" || template === null) return template;
    const entries = Object.entries(template).map(([key, each]) => [key, this.json(each, values)]);
    return Object.fromEntries(entries);
  }

  private resultOf(answer: string): string {
    const { result } = this.options;
    if (result === undefined) return shown(answer);
    const found = at(parseJson(answer, "the answer"), result.split("."));
    if (found !== undefined && found !== null) return shown(argumentText(found));
    throw new Error(`the answer has no ${result}: ${answer.slice(0, MAX_DETAIL)}`);
  }
}

const shown = (text: string): string => (text.trim() === "" ? "(no output)" : text.trim());

/** Entries of lists by number, from 0. */
function at(value: unknown, path: readonly string[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as Record<string, unknown>)[key];
  }
  return here;
}
