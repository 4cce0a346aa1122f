// What every answer has, whole or streamed: its head, the count of tokens, and server-sent events
// in OpenAI's framing. Not the form of choices (completions.ts, chat.ts).

import type { Generation } from "./generation.ts";
import type { ClientPrompt } from "./prompts.ts";

export interface AnswerHead {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

export function answerHead(prefix: string, object: string, model: string): AnswerHead {
  const id = `${prefix}-${crypto.randomUUID().replaceAll("-", "")}`;
  return { id, object, created: Math.floor(Date.now() / 1000), model };
}

/** A prompt counts once, however many continuations it has. */
export function usageOf(prompts: readonly ClientPrompt[], generations: readonly Generation[]) {
  const promptTokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0);
  const completionTokens = generations.reduce((sum, { tokens }) => sum + tokens.length, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

export type Send = (event: object) => void;

/**
 * What `write` sends, an event each, and [DONE] when it returns; nothing once `signal` aborts. A
 * client that goes away aborts `gone`. What `write` throws is an error event, the last.
 */
export function eventStream(
  gone: AbortController,
  signal: AbortSignal,
  write: (send: Send) => Promise<void>,
): Response {
  const utf8 = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const put = (data: string): void => {
        if (!signal.aborted) controller.enqueue(utf8.encode(`data: ${data}\n\n`));
      };
      try {
        await write((event) => put(JSON.stringify(event)));
        put("[DONE]");
      } catch (error) {
        if (!signal.aborted) put(JSON.stringify(serverError(error)));
      }
      if (!signal.aborted) controller.close();
    },
    cancel: (reason) => gone.abort(reason),
  });
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
  };
  return new Response(body, { headers });
}

function serverError(error: unknown): object {
  process.stderr.write(`icrl: while streaming: ${Bun.inspect(error)}\n`);
  return { error: { message: "internal error", type: "server_error" } };
}
