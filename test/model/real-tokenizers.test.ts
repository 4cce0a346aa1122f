// Real tokenizer.json files against Python's tokenizers over a nasty corpus (golden/chat.py).

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { diskFolder } from "../../src/model/byte-source.ts";
import { openTokenizer } from "../../src/model/tokenizer-folder.ts";
import type { Tokenizer } from "../../src/model/tokenizer.ts";
import golden from "../golden/tokenizers.json";
import { fixture, REAL_MODELS } from "../helpers/fixtures.ts";

setDefaultTimeout(60_000); // a real vocabulary takes a second to read, more on a busy machine

for (const model of REAL_MODELS) {
  const folder = fixture(model);
  describe.skipIf(folder === undefined)(
    `the tokenizer of ${model} (needs npm's registry once)`,
    () => {
      let opened: Tokenizer | undefined;
      const tokenizer = (): Tokenizer => (opened ??= openTokenizer(diskFolder(folder!)));

      test("encodes each nasty text as Python does", () => {
        const different = golden.texts.filter(
          (text, i) => !Bun.deepEquals(tokenizer().encode(text), golden.ids[model][i]),
        );
        expect(different).toEqual([]);
      });
      test("decodes each as Python does", () => {
        const decoded: Readonly<Record<string, string>> = golden.decoded[model];
        const different = golden.texts.filter(
          (text, i) => tokenizer().decode(golden.ids[model][i]!) !== (decoded[i] ?? text),
        );
        expect(different).toEqual([]);
      });
      test("special tokens in plain text stay text", () => {
        const ends = new Set(tokenizer().eosIds);
        expect(ends.size).toBe(1);
        for (const text of golden.texts) {
          const ids = tokenizer().encodePlain(text);
          expect(ids.filter((id) => ends.has(id))).toEqual([]);
          expect(tokenizer().decode(ids)).toBe(tokenizer().decode(tokenizer().encode(text)));
        }
      });
    },
  );
}
