// The most probable tokens of one row of logits. The row's normaliser follows from one token whose
// logprob is known, so no exponential is computed. Legend: V vocabulary.

export interface TopToken {
  readonly id: number;
  readonly logprob: number;
}
export const NO_TOP: readonly TopToken[] = [];

/** log(sum(exp(logits / temperature))), from a token's own logprob at that temperature. */
export function logNormaliser(logits_V: Float32Array, known: TopToken, temperature = 1): number {
  return logits_V[known.id]! / temperature - known.logprob;
}

/** `count` of them, the most probable first; of equal ones the smaller id first. */
export function topTokens(
  logits_V: Float32Array,
  count: number,
  known: TopToken,
  temperature = 1,
): TopToken[] {
  const best: number[] = []; // ids, in order
  for (let id = 0; id < logits_V.length; id++) {
    const logit = logits_V[id]!;
    if (best.length === count && logit <= logits_V[best.at(-1)!]!) continue;
    let at = best.length;
    while (at > 0 && logits_V[best[at - 1]!]! < logit) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  const normaliser = logNormaliser(logits_V, known, temperature);
  const logprob = (id: number): number => logits_V[id]! / temperature - normaliser;
  return best.map((id) => (id === known.id ? known : { id, logprob: logprob(id) }));
}
