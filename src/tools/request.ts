// One HTTP request of a tool. What comes back is the answer's text, or an error that says whether
// another attempt makes sense and when. Deadlines and retries are callTool's.

import { TryLaterError } from "./tool.ts";

export interface ToolRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
}

/** An answer with a status that is no success. */
export class StatusError extends Error {
  override readonly name = "StatusError";

  constructor(
    readonly status: number,
    body: string,
  ) {
    super(`HTTP ${status}: ${body.slice(0, MAX_DETAIL)}`);
  }
}

export const DEFAULT_MAX_BYTES = 1 << 20;
/** Of an answer that people see. */
export const MAX_DETAIL = 200;

/** Throws StatusError, TryLaterError, or what fetch throws where nobody answers. */
export async function requestText(request: ToolRequest, signal: AbortSignal): Promise<string> {
  const { url, method, headers, body, maxBytes } = request;
  const sent = body === undefined ? {} : { body };
  const response = await fetch(url, { method, headers: { ...headers }, signal, ...sent });
  const text = await readText(response, maxBytes);
  if (response.ok) return text;
  const error = new StatusError(response.status, text);
  const waitMs = retryAfterMs(response, Date.now());
  throw waitMs === undefined ? error : new TryLaterError(error.message, waitMs);
}

/** What a busy server asks for. */
export function retryAfterMs({ status, headers }: Response, now: number): number | undefined {
  const asked = headers.get("retry-after")?.trim();
  if ((status !== 429 && status !== 503) || asked === undefined) return undefined;
  const seconds = /^\d+$/.test(asked) ? Number(asked) : (Date.parse(asked) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength; // leaving the loop cancels the rest
    if (bytes > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Throws with the start of what is no JSON; `whose`: "the retriever's answer". */
export function parseJson(text: string, whose: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${whose} is not JSON: ${text.slice(0, MAX_DETAIL)}`);
  }
}
