// Rotary settings against what transformers computes for released models (golden/models.py wrote
// rope.json), and both spellings of the same settings against each other.

import { expect, test } from "bun:test";
import { UserError } from "../../src/config/errors.ts";
import { parseModelConfig } from "../../src/model/hf-config.ts";
import cases from "../golden/rope.json" with { type: "json" };

const BASE = { num_hidden_layers: 1, vocab_size: 8, intermediate_size: 8, num_key_value_heads: 1 };

function policyOf(config: Record<string, unknown>) {
  return parseModelConfig(JSON.stringify(config), "config.json").policy;
}

for (const [index, golden] of cases.entries()) {
  const config: Record<string, unknown> = { ...BASE, model_type: golden.family, ...golden.config };

  test(`case ${index} (${golden.family}): frequencies equal transformers' to 1e-6`, () => {
    const { invFreq, ropeAttentionScale } = policyOf(config);
    expect(invFreq.length).toBe(golden.inv_freq.length);
    const worst = golden.inv_freq.map((value, i) => Math.abs(invFreq[i]! / value - 1));
    expect(Math.max(...worst)).toBeLessThan(1e-6);
    expect(Math.abs(ropeAttentionScale - golden.scale)).toBeLessThan(1e-12);
  });

  test(`case ${index} (${golden.family}): the older spelling means the same`, () => {
    const { rope_parameters: parameters = {}, ...rest } = config;
    const {
      rope_theta = config.rope_theta ?? 10_000,
      rope_type: type,
      ...scaling
    } = parameters as Record<string, unknown>;
    const old = {
      ...rest,
      rope_theta,
      rope_scaling: type === undefined ? null : { type, ...scaling },
    };
    expect(policyOf(old)).toEqual(policyOf(config));
  });
}

const LLAMA = { ...BASE, model_type: "llama", hidden_size: 64, num_attention_heads: 4 };
const REFUSED: readonly [string, Record<string, unknown>, RegExp][] = [
  [
    "a rope type that depends on the input",
    { rope_scaling: { type: "dynamic", factor: 2 } },
    /rope_scaling\.rope_type "dynamic" is not supported/,
  ],
  [
    "a partial rotation",
    { rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } },
    /rope_parameters\.partial_rotary_factor/,
  ],
  [
    "two thetas",
    { rope_theta: 1e4, rope_parameters: { rope_theta: 1e6 } },
    /rope_theta is 1000000 but rope_theta is 10000/,
  ],
  [
    "two settings that disagree",
    { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { factor: 4 } },
    /rope_scaling and rope_parameters disagree/,
  ],
  [
    "a missing factor",
    { rope_scaling: { rope_type: "linear" } },
    /rope_scaling\.factor is missing/,
  ],
  [
    "a factor of zero",
    { rope_scaling: { rope_type: "linear", factor: 0 } },
    /rope_scaling\.factor must be greater than 0/,
  ],
];
for (const [name, settings, message] of REFUSED) {
  test(`${name} is refused, by key and file`, () => {
    let caught: unknown;
    try {
      policyOf({ ...LLAMA, ...settings });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).message).toMatch(message);
    expect((caught as UserError).where).toBe("config.json");
  });
}
