// The tokenizer of a model folder: tokenizer.json, the tokens that tokenizer_config.json adds to
// it, and the ids that end a text from every file that names some. And what stands around a prompt:
// the chat template's tokens around one user message, or a base model's first token.

import { UserError } from "../config/errors.ts";
import type { FolderSource } from "./byte-source.ts";
import {
  chatFrame,
  type FrameOptions,
  readChatTemplate,
  readTokenizerConfig,
  specialTokens,
} from "./chat-template.ts";
import type { ModelConfig } from "./hf-config.ts";
import { type Fields, fieldError, isRecord, objectField, parseFields } from "./json-fields.ts";
import {
  type AddedToken,
  createTokenizer,
  type Tokenizer,
  type TokenizerJson,
} from "./tokenizer.ts";

const FILE = "tokenizer.json";

/** `model`: of the same folder; without it no ids beyond the tokens are known. */
export function openTokenizer(source: FolderSource, model?: ModelConfig): Tokenizer {
  const file = `${source.name}/${FILE}`;
  const config = readTokenizerConfig(source);
  const json = withAddedTokens(readTokenizerJson(source, file), config);
  checkVocabulary(json, file, model);
  const eosIds = [...new Set([...(model?.eosIds ?? []), ...namedEos(json, config)])];
  try {
    return createTokenizer(json, {
      ...(eosIds.length > 0 && { eosIds }),
      ...(model !== undefined && { vocabSize: model.policy.vocab }),
    });
  } catch (error) {
    const why = (error as Error).message.split("\n")[0]!;
    throw new UserError(`the tokenizer cannot be used: ${why}`, {
      where: file,
      hint: "byte-level BPE tokenizers are supported: Qwen, Llama 3",
    });
  }
}

/** Tokens around the one user message of a prompt. */
export interface FrameTokens {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** White space at the message's ends goes. */
  readonly trims: boolean;
}

/** `given`: the tools that the chat template lists, and its own variables (enable_thinking). */
export function frameTokens(
  source: FolderSource,
  tokenizer: Tokenizer,
  given: FrameOptions = {},
): FrameTokens {
  const template = readChatTemplate(source);
  if (template === undefined) return { before: tokenizer.startIds, after: [], trims: false };
  const { before, after, trims } = chatFrame(template, given);
  return { before: tokenizer.encode(before), after: tokenizer.encode(after), trims };
}

function readTokenizerJson(source: FolderSource, file: string): TokenizerJson {
  if (!source.has(FILE)) {
    const hint = "a folder with vocab.json alone: save it again with AutoTokenizer.save_pretrained";
    throw new UserError(`the model has no ${FILE}`, { where: source.name, hint });
  }
  const fields = parseFields(new TextDecoder().decode(source.bytes(FILE)), file);
  const vocab = objectField(objectField(fields, "model") ?? fields, "vocab");
  if (vocab === undefined) throw fieldError(fields, "model.vocab", "is missing");
  const bad = Object.entries(vocab.record).find(([, id]) => !isId(id));
  if (bad !== undefined) throw fieldError(vocab, JSON.stringify(bad[0]), "has no token id");
  const added = fields.record["added_tokens"] ?? [];
  if (Array.isArray(added) && added.every(isAddedToken))
    return fields.record as unknown as TokenizerJson;
  throw fieldError(fields, "added_tokens", "must be a list of tokens with id and content");
}

const isId = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 24;
const isAddedToken = (value: unknown): value is AddedToken =>
  isRecord(value) && isId(value["id"]) && typeof value["content"] === "string";

/** As transformers does: a token of tokenizer_config.json that tokenizer.json lacks is added. */
function withAddedTokens(json: TokenizerJson, config: Fields | undefined): TokenizerJson {
  const decoder = config === undefined ? undefined : objectField(config, "added_tokens_decoder");
  const known = new Map((json.added_tokens ?? []).map(({ id, content }) => [id, content]));
  const more: AddedToken[] = [];
  for (const [key, value] of Object.entries(decoder?.record ?? {})) {
    const token = isRecord(value) ? { ...value, id: Number(key) } : undefined;
    if (!isAddedToken(token)) throw fieldError(decoder!, key, "must be a token with content");
    const content = known.get(token.id);
    if (content === undefined) more.push(withFlags(token));
    else if (content !== token.content)
      throw fieldError(decoder!, key, `is ${token.content}, but ${content} in ${FILE}`);
  }
  return more.length === 0
    ? json
    : { ...json, added_tokens: [...(json.added_tokens ?? []), ...more] };
}

function withFlags(token: AddedToken): AddedToken {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { ...flags, special: false, ...token };
}

function checkVocabulary(json: TokenizerJson, file: string, model: ModelConfig | undefined): void {
  if (model === undefined) return;
  const { vocab } = model.policy;
  const tokens = [
    ...Object.entries(json.model.vocab),
    ...(json.added_tokens ?? []).map(({ id, content }) => [content, id] as const),
  ];
  const beyond = tokens.find(([, id]) => id >= vocab);
  if (beyond === undefined) return;
  const token = `token ${JSON.stringify(beyond[0])} has id ${beyond[1]}`;
  throw new UserError(`${token}, but the model has ${vocab} ids`, {
    where: file,
    hint: "tokenizer.json belongs to another model, or vocab_size in config.json is wrong",
  });
}

/** The end token that tokenizer_config.json names: a chat model's turn ends there. */
function namedEos(json: TokenizerJson, config: Fields | undefined): readonly number[] {
  const content = config === undefined ? undefined : specialTokens(config)["eos_token"];
  if (content === undefined) return [];
  const added = (json.added_tokens ?? []).find((token) => token.content === content)?.id;
  const id = added ?? json.model.vocab[content];
  return id === undefined ? [] : [id];
}
