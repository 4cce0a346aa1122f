// Rotary frequencies of a model, with the context extensions that do not depend on the length of
// the input: linear interpolation, Llama 3's and YaRN (Peng et al. 2023, arXiv 2309.00071). Not the
// rotation itself: that is the engine's.
//
// Departure from transformers: computed in double, where transformers works in float32. They agree
// to 1e-6 relative.

export type RopeSettings =
  | { readonly type: "default"; readonly theta: number }
  | { readonly type: "linear"; readonly theta: number; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly theta: number;
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      readonly type: "yarn";
      readonly theta: number;
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalMaxPositions: number;
      readonly attentionFactor: number;
      readonly truncate: boolean;
    };
type Llama3 = Extract<RopeSettings, { type: "llama3" }>;
type Yarn = Extract<RopeSettings, { type: "yarn" }>;

export interface Rotary {
  /** [headDim / 2], radians a position. */
  readonly invFreq: Float64Array;
  /** Multiplies cos and sin. */
  readonly attentionScale: number;
}

export function rotary(settings: RopeSettings, headDim: number): Rotary {
  const base = Float64Array.from(
    { length: headDim / 2 },
    (_, i) => settings.theta ** ((-2 * i) / headDim),
  );
  switch (settings.type) {
    case "default":
      return { invFreq: base, attentionScale: 1 };
    case "linear":
      return { invFreq: base.map((frequency) => frequency / settings.factor), attentionScale: 1 };
    case "llama3":
      return { invFreq: base.map((frequency) => llama3(frequency, settings)), attentionScale: 1 };
    case "yarn":
      return { invFreq: yarn(base, settings, headDim), attentionScale: settings.attentionFactor };
  }
}

/** Long waves are interpolated by the factor, short ones kept, those between blended. */
function llama3(frequency: number, settings: Llama3): number {
  const rotations = (settings.originalMaxPositions * frequency) / (2 * Math.PI);
  if (rotations < settings.lowFreqFactor) return frequency / settings.factor;
  if (rotations > settings.highFreqFactor) return frequency;
  const kept =
    (rotations - settings.lowFreqFactor) / (settings.highFreqFactor - settings.lowFreqFactor);
  return ((1 - kept) * frequency) / settings.factor + kept * frequency;
}

function yarn(base: Float64Array, settings: Yarn, headDim: number): Float64Array {
  const [low, high] = yarnRange(settings, headDim);
  return base.map((frequency, i) => {
    const interpolated = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (interpolated * frequency) / settings.factor + (1 - interpolated) * frequency;
  });
}

/** The dimensions that turn betaFast and betaSlow times within the original context. */
function yarnRange(settings: Yarn, headDim: number): [number, number] {
  const dimension = (rotations: number): number =>
    (headDim * Math.log(settings.originalMaxPositions / (rotations * 2 * Math.PI))) /
    (2 * Math.log(settings.theta));
  const fast = dimension(settings.betaFast);
  const slow = dimension(settings.betaSlow);
  const low = Math.max(settings.truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(settings.truncate ? Math.ceil(slow) : slow, headDim - 1);
  return [low, low === high ? high + 0.001 : high];
}

/** YaRN's default scale of cos and sin, or the ratio of two where a model gives both mscales. */
export function yarnAttentionFactor(
  factor: number,
  mscale?: number,
  mscaleAllDim?: number,
): number {
  const scale = (m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale && mscaleAllDim ? scale(mscale) / scale(mscaleAllDim) : scale(1);
}
