// A policy that is served: what whoever opens one hands over. Not opening it, and not HTTP.

import type { Policy } from "../../../ffi/policy.ts";
import type { ChatTemplate } from "../../model/chat-template.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { RolloutEngine } from "../../rollout/engine.ts";

/** Belongs to whoever opened it, and stays as it is while it is served. */
export interface ServedPolicy {
  /** By which clients ask for it. */
  readonly name: string;
  readonly policy: Policy;
  /** Shared by all requests. */
  readonly engine: RolloutEngine;
  readonly tokenizer: Tokenizer;
  /** Undefined for a base model. */
  readonly template: ChatTemplate | undefined;
  /** Tokens of a prompt and what follows it, at most. */
  readonly context: number;
  /** Of a chat message, where the client names no limit. */
  readonly maxTurnTokens: number;
}
