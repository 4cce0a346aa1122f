// The words that stand around nano's questions: plain text, no chat template. Kept short, since the
// policy has a vocabulary of 1,024. No pretraining document holds these lines (a test counts). The
// recipes hold the same words; test/model/nano.test.ts compares.
//
// No <|endoftext|> stands before them, though each document had one: with it the base answers 6.5 %
// of held-out questions without demonstrations (200 of them), without it none of 400, and .40 with
// three either way.

/**
 * `{open}` and `{close}` stand for the tags. The last three replace or add lines in the recipes with
 * a Python tool.
 */
export const nanoPrompt = {
  instruction: "Use the lookup tool when it helps, then give the answer.",
  format: {
    think: "{open} your reasoning {close}",
    call: "{open} your query {close}",
    observation: "{open} the result {close}",
    answer: "{open} the final name {close}",
  },
  examples: "",
  handOver: "Now the question to solve.",
  question: "Question: ",
  toolsInstruction: "Use the tools when they help, then give the answer.",
  code: "{open} your code {close}",
  result: "{open} your reply {close}",
} as const;
