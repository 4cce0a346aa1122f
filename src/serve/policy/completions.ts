// POST /v1/completions: continuations of prompts as they stand. With `echo` a prompt is part of the
// answer, with `logprobs` its own too: that is how evaluation harnesses score a text. Logprobs of
// sampled tokens are under the request's temperature (1 where that is 0), a prompt's under 1.

import { type AnswerHead, answerHead, type Send, usageOf } from "./answer.ts";
import type { CompletionFields } from "./fields.ts";
import type { Finish, Generation } from "./generation.ts";
import { completionLogprobs, type TokenWithLogprob } from "./logprobs.ts";
import type { ScoredToken } from "./prompt-scorer.ts";
import { type ClientPrompt, completionPrompts } from "./prompts.ts";
import type { Choice, PolicyService } from "./service.ts";
import { charactersOf } from "./token-text.ts";

type Scores = ReadonlyMap<ClientPrompt, readonly TokenWithLogprob[]>;

/** A request that can be done. Throws RequestError where it can't. */
export class Completion {
  private readonly head: AnswerHead;
  private readonly prompts: readonly ClientPrompt[];
  private readonly choices: readonly Choice[];

  constructor(
    private readonly service: PolicyService,
    private readonly fields: CompletionFields,
  ) {
    const { name } = service.policy;
    this.head = answerHead("cmpl", "text_completion", name);
    this.prompts = completionPrompts(service.policy, fields);
    const limits = { maxTokens: fields.max_tokens, numTop: fields.logprobs ?? 0 };
    this.choices = service.choices(this.prompts, fields, limits);
  }

  async whole(signal: AbortSignal): Promise<object> {
    const scores = await this.scores(signal);
    const generations = await this.service.generate(this.choices, signal);
    const choices = this.choices.map((choice, i) => {
      const { tokens, text, finish } = generations[i]!;
      const echoed = this.fields.echo ? choice.prompt.text : "";
      const before = scores.get(choice.prompt) ?? [];
      const start = this.fields.echo ? this.promptStart(choice) : 0;
      return this.choice(choice, echoed + text, [...before, ...tokens], finish, start);
    });
    const ids = choices.map((each, i) => this.withIds(each, this.choices[i]!, generations[i]!));
    return { ...this.head, choices: ids, usage: usageOf(this.prompts, generations) };
  }

  async stream(send: Send, signal: AbortSignal): Promise<void> {
    const scores = await this.scores(signal);
    const states = this.choices.map((choice) => ({ sent: "", offset: this.start(choice) }));
    for (const choice of this.choices) this.sendEcho(choice, scores, send);
    const onToken = (choice: Choice, token: TokenWithLogprob, text: string): void => {
      const state = states[choice.index]!;
      const offset = state.offset;
      state.sent += text;
      state.offset += charactersOf(this.service.policy.tokenizer, token.id);
      if (text !== "" || this.showsTokens) send(this.chunk(choice, text, [token], null, offset));
    };
    const generations = await this.service.generate(this.choices, signal, onToken);
    generations.forEach(({ text, finish }, i) => {
      const rest = text.slice(states[i]!.sent.length);
      send(this.chunk(this.choices[i]!, rest, [], finish, states[i]!.offset));
    });
    if (this.fields.stream_options?.include_usage !== true) return;
    send({ ...this.head, choices: [], usage: usageOf(this.prompts, generations) });
  }

  /** Tokens are part of the answer, also those that say nothing yet. */
  private get showsTokens(): boolean {
    return this.fields.logprobs !== undefined || this.fields.return_token_ids;
  }

  /** Characters before what is sampled. */
  private start({ prompt }: Choice): number {
    return this.fields.echo ? [...prompt.text].length : 0;
  }

  /** Tokens that the tokenizer puts before a text are not in it, so they stand before 0. */
  private promptStart({ prompt }: Choice): number {
    const { tokenizer } = this.service.policy;
    const inTokens = prompt.ids.reduce((sum, id) => sum + charactersOf(tokenizer, id), 0);
    return [...prompt.text].length - inTokens;
  }

  private sendEcho(choice: Choice, scores: Scores, send: Send): void {
    const { prompt } = choice;
    if (!this.fields.echo && !this.fields.return_token_ids) return;
    const entries = scores.get(prompt) ?? [];
    const text = this.fields.echo ? prompt.text : "";
    const chunk = this.chunk(choice, text, entries, null, this.promptStart(choice), []);
    const [first] = chunk.choices;
    const ids = this.fields.return_token_ids ? { prompt_token_ids: prompt.ids } : {};
    send({ ...chunk, choices: [{ ...first, ...ids }] });
  }

  private chunk(
    choice: Choice,
    text: string,
    entries: readonly TokenWithLogprob[],
    finish: Finish | null,
    offset: number,
    ids: readonly number[] = entries.map(({ id }) => id),
  ) {
    const body = this.choice(choice, text, entries, finish, offset);
    const tokenIds = this.fields.return_token_ids ? { token_ids: ids } : {};
    return { ...this.head, choices: [{ ...body, ...tokenIds }] };
  }

  private choice(
    { index }: Choice,
    text: string,
    entries: readonly TokenWithLogprob[],
    finish: Finish | null,
    offset: number,
  ) {
    const { logprobs } = this.fields;
    const { tokenizer } = this.service.policy;
    const shown =
      logprobs === undefined ? null : completionLogprobs(tokenizer, entries, logprobs > 0, offset);
    return { index, text, logprobs: shown, finish_reason: finish };
  }

  private withIds(choice: object, { prompt }: Choice, { tokens }: Generation): object {
    if (!this.fields.return_token_ids) return choice;
    return { ...choice, prompt_token_ids: prompt.ids, token_ids: tokens.map(({ id }) => id) };
  }

  /** Of the prompts, where they are asked for. */
  private async scores(signal: AbortSignal): Promise<Scores> {
    const { echo, logprobs } = this.fields;
    if (!echo || logprobs === undefined) return new Map();
    const scored = await this.service.score(this.prompts, logprobs, signal);
    return new Map(this.prompts.map((prompt, i) => [prompt, promptEntries(prompt, scored[i]!)]));
  }
}

function promptEntries({ ids }: ClientPrompt, scored: readonly ScoredToken[]): TokenWithLogprob[] {
  return ids.map((id, i) =>
    i === 0 ? { id, logprob: null, top: null } : { id, ...scored[i - 1]! },
  );
}
