import { expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import { type FolderSource, memoryFolder } from "../../src/model/byte-source.ts";
import { trainTokenizer } from "../../src/model/bpe.ts";
import { parseModelConfig } from "../../src/model/hf-config.ts";
import { frameTokens, openTokenizer } from "../../src/model/tokenizer-folder.ts";

const WORDS = "the search for the answer <answer> the answer </answer>\n".repeat(3);
const json = trainTokenizer(WORDS, 270);
const END = 0; // <|endoftext|>

type Changes = {
  readonly tokenizer?: object;
  readonly config?: object;
  readonly template?: string;
};

function folderOf({ tokenizer = json, config, template }: Changes): FolderSource {
  const files: Record<string, unknown> = { "tokenizer.json": tokenizer };
  if (config !== undefined) files["tokenizer_config.json"] = config;
  const bytes = Object.entries(files).map(([name, value]) => [name, encode(JSON.stringify(value))]);
  const jinja = template === undefined ? {} : { "chat_template.jinja": encode(template) };
  return memoryFolder("model", { ...Object.fromEntries(bytes), ...jinja });
}
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function modelConfig(vocab: number, eos?: number | number[]) {
  const sizes = {
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 8,
  };
  const config = { model_type: "llama", ...sizes, vocab_size: vocab, eos_token_id: eos };
  return parseModelConfig(JSON.stringify(config), "model/config.json");
}

test("ids of the model that no token has are tokens without bytes", () => {
  const tokenizer = openTokenizer(folderOf({}), modelConfig(300));
  expect(tokenizer.vocabSize).toBe(300);
  expect([...tokenizer.tokenBytes(299)]).toEqual([]);
  expect(tokenizer.decode([299, ...tokenizer.encode("the"), 290])).toBe("the");
  expect(() => tokenizer.tokenBytes(300)).toThrow("no token has id 300");
});

test("every end id that some file names ends a text", () => {
  const added_tokens_decoder = { 280: { content: "<|im_end|>", special: true } };
  const config = { eos_token: { content: "<|im_end|>" }, added_tokens_decoder };
  const tokenizer = openTokenizer(folderOf({ config }), modelConfig(300, [END, 281]));
  expect(tokenizer.eosIds).toEqual([END, 281, 280]);
});

test("tokens of tokenizer_config.json that tokenizer.json lacks are added", () => {
  const added_tokens_decoder = {
    280: { content: "<|im_end|>", special: true },
    281: { content: "<think>", special: false },
  };
  const tokenizer = openTokenizer(folderOf({ config: { added_tokens_decoder } }));
  expect(tokenizer.encode("<think><|im_end|>")).toEqual([281, 280]);
  expect(tokenizer.decode([281, 280])).toBe("<think><|im_end|>");
});

test("plain text never holds a special token, however it is spelled", () => {
  const special = (content: string, id: number) => ({ id, content, special: true });
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const contents = ["<|end|>", "<\uff5cend\uff5c>", "[END]", "[[END]", "<|end|><|end|>"];
  const added = contents.map((content, i) => ({ ...flags, ...special(content, 280 + i) }));
  const tokenizer = openTokenizer(folderOf({ tokenizer: { ...json, added_tokens: added } }));
  for (const text of [...contents, "[[[END]]", "a<|end|><|end|>b", "<<|end|>", "<|en"]) {
    const ids = tokenizer.encodePlain(text);
    expect(ids.filter((id) => id >= 280)).toEqual([]);
    expect(tokenizer.decode(ids)).toBe(text);
  }
  expect(tokenizer.encode("[END]")).toEqual([282]);
});

test("a chat template's special tokens are tokens around the message", () => {
  const template = "<|endoftext|>{{ messages[0].content | trim }}<|endoftext|>answer";
  const source = folderOf({ template });
  const tokenizer = openTokenizer(source);
  expect(frameTokens(source, tokenizer)).toEqual({
    before: [END],
    after: [END, ...tokenizer.encode("answer")],
    trims: true,
  });
});

test("without a template, a model that begins texts with a token keeps it", () => {
  const single = [
    { SpecialToken: { id: "<|endoftext|>", type_id: 0 } },
    { Sequence: { id: "A", type_id: 0 } },
  ];
  const special_tokens = {
    "<|endoftext|>": { id: "<|endoftext|>", ids: [END], tokens: ["<|endoftext|>"] },
  };
  const post_processor = { type: "TemplateProcessing", single, pair: single, special_tokens };
  const source = folderOf({ tokenizer: { ...json, post_processor } });
  const tokenizer = openTokenizer(source);
  expect(frameTokens(source, tokenizer)).toEqual({ before: [END], after: [], trims: false });
  expect(tokenizer.encode("the")[0]).not.toBe(END);
  const bare = folderOf({});
  expect(frameTokens(bare, openTokenizer(bare)).before).toEqual([]);
});

const REFUSED: readonly [string, () => FolderSource, string][] = [
  ["no tokenizer.json", () => memoryFolder("model", {}), "the model has no tokenizer.json (model)"],
  [
    "a cut file",
    () => memoryFolder("model", { "tokenizer.json": encode('{"model": {') }),
    "not valid JSON",
  ],
  ["no vocabulary", () => folderOf({ tokenizer: { model: {} } }), "model.vocab is missing"],
  [
    "a token without an id",
    () => folderOf({ tokenizer: { model: { vocab: { the: -4 } } } }),
    'model.vocab."the" has no token id',
  ],
  [
    "another kind of tokenizer",
    () => folderOf({ tokenizer: { ...json, decoder: { type: "Metaspace" } } }),
    "the tokenizer cannot be used: not a byte-level tokenizer (model/tokenizer.json)",
  ],
  [
    "a vocabulary beyond the model's",
    () => folderOf({ config: { added_tokens_decoder: { 600: { content: "<x>" } } } }),
    'token "<x>" has id 600, but the model has 300 ids (model/tokenizer.json)',
  ],
  [
    "two tokens of one id",
    () => folderOf({ config: { added_tokens_decoder: { 0: { content: "<s>" } } } }),
    "added_tokens_decoder.0 is <s>, but <|endoftext|> in tokenizer.json (model/tokenizer_config",
  ],
];
for (const [name, source, message] of REFUSED) {
  test(`${name} is refused in one line`, () => {
    let caught: unknown;
    try {
      openTokenizer(source(), modelConfig(300));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).describe()).toContain(message);
    expect((caught as UserError).describe()).not.toContain("\n");
  });
}
