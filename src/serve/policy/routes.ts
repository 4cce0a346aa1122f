// The endpoints of a served policy, in the form of OpenAI's API: GET /v1/models, POST
// /v1/completions, POST /v1/chat/completions. A client that goes away frees what it held. Not the
// address, token and errors of the server (server.ts).

import { type Context, Hono } from "hono";
import { readBody, RequestError } from "../server.ts";
import { eventStream, type Send } from "./answer.ts";
import { ChatCompletion } from "./chat.ts";
import { Completion } from "./completions.ts";
import { chatFields, completionFields } from "./fields.ts";
import type { PolicyService } from "./service.ts";

export function policyRoutes(service: PolicyService): Hono {
  const { name, context } = service.policy;
  const { created } = service;
  const model = { id: name, object: "model", created, owned_by: "icrl", max_model_len: context };
  const app = new Hono();
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/v1/models", (c) => c.json({ object: "list", data: [model] }));
  app.get("/v1/models/:name{.+}", (c) => {
    requireModel(c.req.param("name"), name);
    return c.json(model);
  });
  app.post("/v1/completions", async (c) => {
    const fields = await readBody(c, completionFields);
    requireModel(fields.model, name);
    return answer(c, new Completion(service, fields), fields.stream);
  });
  app.post("/v1/chat/completions", async (c) => {
    const fields = await readBody(c, chatFields);
    requireModel(fields.model, name);
    return answer(c, new ChatCompletion(service, fields), fields.stream);
  });
  return app;
}

interface Answer {
  whole(signal: AbortSignal): Promise<object>;
  stream(send: Send, signal: AbortSignal): Promise<void>;
}

async function answer(c: Context, work: Answer, streams: boolean): Promise<Response> {
  const gone = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, gone.signal]);
  if (streams) return eventStream(gone, signal, (send) => work.stream(send, signal));
  try {
    return c.json(await work.whole(signal));
  } catch (error) {
    if (signal.aborted) return new Response(null, { status: 499 }); // nobody reads it
    throw error;
  }
}

function requireModel(asked: string | undefined, name: string): void {
  if (asked === undefined || asked === name) return;
  throw new RequestError(`there is no model "${asked}" here, but "${name}"`, "model", 404);
}
