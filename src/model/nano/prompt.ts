// The words that stand around nano's questions: plain text, no chat template. Kept short, since the
// policy has a vocabulary of 1,024. No pretraining document holds these lines (a test counts). The
// rollout template puts demonstrations between the format lines and `ready`:
//   instruction, format lines, blank line, demonstrations each with a blank line after it, ready,
//   question

export interface PromptWords {
  readonly instruction: string;
  /** One reminder a tag. */
  readonly formatLines: readonly string[];
  /** Between the demonstrations and the question. */
  readonly ready: string;
  readonly question: (text: string) => string;
}

export const nanoPrompt: PromptWords = {
  instruction: "Use the lookup tool to solve the question.",
  formatLines: [
    "<think> your reasoning </think>",
    "<search> your query </search>",
    "<information> the result </information>",
    "<answer> the final name </answer>",
  ],
  ready: "Now solve this one.",
  question: (text) => `Question: ${text}`,
};
