import { expect, test } from "bun:test";
import { parseRecipe } from "../../src/config/load.ts";
import { DEFAULT_PROMPT_TEXT } from "../../src/rollout/template.ts";
import { promptText } from "../../src/train/prompt-text.ts";

test("a recipe's words replace the template's one by one, also by nothing", () => {
  const text = "name: x\nprompt: { examples: '', format: { call: 'Call: {open} {close}' } }";
  expect(promptText(parseRecipe(text, "x.yaml").prompt)).toEqual({
    ...DEFAULT_PROMPT_TEXT,
    examples: "",
    format: { ...DEFAULT_PROMPT_TEXT.format, call: "Call: {open} {close}" },
  });
});
