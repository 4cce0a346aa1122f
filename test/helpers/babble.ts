// Weights by which a small random policy writes texts like given ones: each token as often after
// another as there, anything of the vocabulary once in a while. A token of the texts has an axis of
// its own in the residual stream, which the output matrix reads; all other tokens share the first
// axis, from which a text begins. The layers stay random and small, so they hardly matter.

import type { Policy } from "../../ffi/policy.ts";
import type { Tokenizer } from "../../src/model/tokenizer.ts";

/** Of a token that may come, against 0 for the others: above log(vocabulary), by far. */
const LOGIT = 20;
const BEGIN = -1;

/** The policy's output matrix must be its own. */
export function babble(policy: Policy, tokenizer: Tokenizer, texts: readonly string[]): void {
  const counts = successors(texts.map((text) => tokenizer.encode(text)));
  const said = new Set([...counts.values()].flatMap((next) => [...next.keys()]));
  const axes = new Map([BEGIN, ...said].map((id, axis) => [id, axis]));
  const { hidden, vocab } = policy.config;
  if (axes.size > hidden) throw new Error(`${axes.size} tokens for ${hidden} axes`);
  const embeddings = policy.read("model.embed_tokens.weight");
  for (let id = 0; id < vocab; id++) embeddings[id * hidden + (axes.get(id) ?? 0)]! += 1;
  policy.write("model.embed_tokens.weight", embeddings, "f32");
  const output = policy.read("lm_head.weight");
  for (const [id, next] of counts) {
    const total = [...next.values()].reduce((sum, count) => sum + count, 0);
    for (const [to, count] of next) {
      const logit = LOGIT + Math.log(count / total);
      output[to * hidden + axes.get(id)!] = logit / Math.sqrt(hidden); // a norm comes before
    }
  }
  policy.write("lm_head.weight", output, "f32");
}

/** How often a token comes after another, or begins a text. */
function successors(texts: readonly (readonly number[])[]): Map<number, Map<number, number>> {
  const counts = new Map<number, Map<number, number>>();
  for (const ids of texts) {
    for (const [i, id] of ids.entries()) {
      const before = i === 0 ? BEGIN : ids[i - 1]!;
      const next = counts.get(before) ?? new Map<number, number>();
      counts.set(before, next.set(id, (next.get(id) ?? 0) + 1));
    }
  }
  return counts;
}
