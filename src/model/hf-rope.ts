// The rope settings of a Hugging Face config.json, in both spellings: `rope_theta` with
// `rope_scaling` (transformers 4) and `rope_parameters` (transformers 5). Not the frequencies: see
// rope.ts.

import {
  booleanField,
  fieldError,
  type Fields,
  has,
  numberField,
  objectField,
  positiveField,
  stringField,
} from "./json-fields.ts";
import { type RopeSettings, yarnAttentionFactor } from "./rope.ts";

const DEFAULT_THETA = 10_000; // of all three families in transformers

export function parseRope(config: Fields): RopeSettings {
  const scaling = ropeObject(config);
  const theta = ropeTheta(config, scaling);
  if (scaling === undefined) return { type: "default", theta };
  refusePartial(config, scaling);
  const type = has(scaling, "rope_type")
    ? stringField(scaling, "rope_type")
    : stringField(scaling, "type", "default");
  switch (type) {
    case "default":
      return { type, theta };
    case "linear":
      return { type, theta, factor: positiveField(scaling, "factor") };
    case "llama3":
      return llama3Settings(config, scaling, theta);
    case "yarn":
      return yarnSettings(config, scaling, theta);
    default:
      throw fieldError(
        scaling,
        "rope_type",
        `"${type}" is not supported`,
        "supported: default, linear, llama3, yarn",
      );
  }
}

function ropeObject(config: Fields): Fields | undefined {
  const old = objectField(config, "rope_scaling");
  const parameters = objectField(config, "rope_parameters");
  if (old === undefined || parameters === undefined) return parameters ?? old;
  const differs = Object.keys(old.record).some(
    (key) =>
      parameters.record[key] !== undefined &&
      !Bun.deepEquals(parameters.record[key], old.record[key]),
  );
  if (!differs) return parameters;
  throw fieldError(config, "rope_scaling", "and rope_parameters disagree", "keep one of the two");
}

function ropeTheta(config: Fields, scaling: Fields | undefined): number {
  const outside = positiveField(config, "rope_theta", DEFAULT_THETA);
  if (scaling === undefined || !has(scaling, "rope_theta")) return outside;
  const inside = positiveField(scaling, "rope_theta");
  if (!has(config, "rope_theta") || outside === inside) return inside;
  throw fieldError(
    scaling,
    "rope_theta",
    `is ${inside} but rope_theta is ${outside}`,
    "keep one of the two",
  );
}

function refusePartial(config: Fields, scaling: Fields): void {
  for (const fields of [config, scaling]) {
    if (numberField(fields, "partial_rotary_factor", 1) !== 1) {
      throw fieldError(
        fields,
        "partial_rotary_factor",
        "other than 1 is not supported",
        "no model of these families uses it",
      );
    }
  }
}

function llama3Settings(config: Fields, scaling: Fields, theta: number): RopeSettings {
  const lowFreqFactor = positiveField(scaling, "low_freq_factor");
  const highFreqFactor = positiveField(scaling, "high_freq_factor");
  if (highFreqFactor <= lowFreqFactor)
    throw fieldError(scaling, "high_freq_factor", "must exceed low_freq_factor");
  const originalMaxPositions = originalPositions(config, scaling);
  return {
    type: "llama3",
    theta,
    factor: positiveField(scaling, "factor"),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions,
  };
}

function yarnSettings(config: Fields, scaling: Fields, theta: number): RopeSettings {
  const originalMaxPositions = originalPositions(config, scaling);
  const factor = has(scaling, "factor")
    ? positiveField(scaling, "factor")
    : positiveField(config, "max_position_embeddings") / originalMaxPositions;
  const mscale = numberField(scaling, "mscale", 0);
  const attentionFactor = numberField(
    scaling,
    "attention_factor",
    yarnAttentionFactor(factor, mscale, numberField(scaling, "mscale_all_dim", 0)),
  );
  const betas = {
    betaFast: positiveField(scaling, "beta_fast", 32),
    betaSlow: positiveField(scaling, "beta_slow", 1),
  };
  const truncate = booleanField(scaling, "truncate", true);
  return { type: "yarn", theta, factor, ...betas, originalMaxPositions, attentionFactor, truncate };
}

function originalPositions(config: Fields, scaling: Fields): number {
  const key = "original_max_position_embeddings";
  const holder = [config, scaling].find((fields) => has(fields, key));
  return holder ? positiveField(holder, key) : positiveField(config, "max_position_embeddings");
}
