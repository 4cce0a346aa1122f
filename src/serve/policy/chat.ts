// POST /v1/chat/completions: the turn after some messages. The policy's text is the content as it
// was sampled: calls of tools in it are not taken out, since only the model's own format says what
// they are. Logprobs are under the request's temperature (1 where that is 0).

import { type AnswerHead, answerHead, type Send, usageOf } from "./answer.ts";
import type { ChatFields } from "./fields.ts";
import type { Finish } from "./generation.ts";
import { chatLogprobs, type TokenWithLogprob } from "./logprobs.ts";
import { chatPrompt, type ClientPrompt } from "./prompts.ts";
import type { Choice, PolicyService } from "./service.ts";

/** A request that can be done. Throws RequestError where it can't. */
export class ChatCompletion {
  private readonly head: AnswerHead;
  private readonly prompt: ClientPrompt;
  private readonly choices: readonly Choice[];

  constructor(
    private readonly service: PolicyService,
    private readonly fields: ChatFields,
  ) {
    const object = fields.stream ? "chat.completion.chunk" : "chat.completion";
    this.head = answerHead("chatcmpl", object, service.policy.name);
    this.prompt = chatPrompt(service.policy, fields);
    const limits = { maxTokens: this.maxTokens(), numTop: fields.top_logprobs ?? 0 };
    this.choices = service.choices([this.prompt], fields, limits);
  }

  async whole(signal: AbortSignal): Promise<object> {
    const generations = await this.service.generate(this.choices, signal);
    const choices = generations.map(({ tokens, text, finish }, index) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      ...this.tokens(tokens),
      finish_reason: finish,
    }));
    return {
      ...this.head,
      choices,
      ...this.promptIds(),
      usage: usageOf([this.prompt], generations),
    };
  }

  async stream(send: Send, signal: AbortSignal): Promise<void> {
    const sent = this.choices.map(() => "");
    for (const { index } of this.choices) {
      const chunk = this.chunk(index, { role: "assistant", content: "" }, [], null);
      send({ ...chunk, ...this.promptIds() });
    }
    const onToken = ({ index }: Choice, token: TokenWithLogprob, text: string): void => {
      sent[index] += text;
      if (text !== "" || this.showsTokens)
        send(this.chunk(index, { content: text }, [token], null));
    };
    const generations = await this.service.generate(this.choices, signal, onToken);
    generations.forEach(({ text, finish }, index) => {
      const rest = text.slice(sent[index]!.length);
      if (rest !== "") send(this.chunk(index, { content: rest }, [], null));
      send(this.chunk(index, {}, [], finish));
    });
    if (this.fields.stream_options?.include_usage !== true) return;
    send({ ...this.head, choices: [], usage: usageOf([this.prompt], generations) });
  }

  /** Tokens are part of the answer, also those that say nothing yet. */
  private get showsTokens(): boolean {
    return this.fields.logprobs || this.fields.return_token_ids;
  }

  private maxTokens(): number {
    const { context, maxTurnTokens } = this.service.policy;
    const given = this.fields.max_completion_tokens ?? this.fields.max_tokens;
    return given ?? Math.max(1, Math.min(maxTurnTokens, context - this.prompt.ids.length));
  }

  private chunk(
    index: number,
    delta: object,
    tokens: readonly TokenWithLogprob[],
    finish: Finish | null,
  ) {
    return {
      ...this.head,
      choices: [{ index, delta, ...this.tokens(tokens), finish_reason: finish }],
    };
  }

  private tokens(tokens: readonly TokenWithLogprob[]) {
    const { tokenizer } = this.service.policy;
    const logprobs = this.fields.logprobs ? chatLogprobs(tokenizer, tokens) : null;
    const ids = this.fields.return_token_ids ? { token_ids: tokens.map(({ id }) => id) } : {};
    return { logprobs, ...ids };
  }

  private promptIds() {
    return this.fields.return_token_ids ? { prompt_token_ids: this.prompt.ids } : {};
  }
}
