// Adapters: their gradients against those of whole matrices (dB = s dW A^T, dA = s B^T dW) and
// against finite differences, what a step merges, what stays frozen, and what is refused. In double
// where rounding could hide a mistake.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { LORA_TARGETS, type LoraConfig, type LoraTarget } from "../../ffi/lora.ts";
import { counters } from "../../ffi/native.ts";
import type { Dtype, Policy, PolicyConfig, TrieBatch } from "../../ffi/policy.ts";
import { type Recompute, Trainer, type TrainerConfig } from "../../ffi/trainer.ts";
import {
  ADAMW,
  maxAbs,
  openCpu,
  openTiny,
  randomIds,
  relativeError,
  rowsBatch,
  tinyConfig,
  uniform,
} from "../helpers/engine.ts";
import { flatten, forests } from "../helpers/tries.ts";

const LORA: LoraConfig = { rank: 3, alpha: 7, targets: LORA_TARGETS };
const SCALE = LORA.alpha / LORA.rank;
const BATCH = rowsBatch([randomIds(9, 37, 1), randomIds(5, 37, 2)]);

/** Adapters whose B is not zero any more. */
function openAdapted(policy: Policy, base: Policy, config: Partial<TrainerConfig> = {}): Trainer {
  const trainer = Trainer.open(policy, { ...ADAMW, lora: LORA, seed: 4, ...config }, base);
  const random = uniform(3);
  for (const { name, shape } of trainer.tensors()) {
    const data = Float64Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5);
    trainer.writeTensor("master", name, data);
  }
  return trainer;
}

function backward(trainer: Trainer, batch: TrieBatch, recompute: Recompute = "nothing"): void {
  const { logprobs_N } = trainer.logprobs(batch, { temperature: 1.3, recompute });
  trainer.backward(
    logprobs_N.map((_, n) => Math.cos(n)),
    logprobs_N.map((_, n) => Math.sin(3 * n)),
  );
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}
const at = ({ data, columns }: Matrix, i: number, j: number): number => data[i * columns + j]!;
const transposed = (m: Matrix): Matrix => ({
  rows: m.columns,
  columns: m.rows,
  data: Float64Array.from(m.data, (_, k) => at(m, k % m.rows, Math.floor(k / m.rows))),
});
function product(a: Matrix, b: Matrix, scale: number): Matrix {
  const data = new Float64Array(a.rows * b.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.columns; j++) {
      let sum = 0;
      for (let k = 0; k < a.columns; k++) sum += at(a, i, k) * at(b, k, j);
      data[i * b.columns + j] = scale * sum;
    }
  }
  return { rows: a.rows, columns: b.columns, data };
}

const NO_MATRIX: Matrix = { rows: 0, columns: 0, data: new Float64Array() };

/** The masters of a module. */
function factors(trainer: Trainer, module: string): { a: Matrix; b: Matrix } {
  const read = (name: string): Matrix => {
    const [rows = 0, columns = 0] = trainer.tensors().find((each) => each.name === name)!.shape;
    return { rows, columns, data: trainer.readTensorF64("master", name) };
  };
  return { a: read(`${module}.lora_A.weight`), b: read(`${module}.lora_B.weight`) };
}
const modulesOf = (trainer: Trainer): string[] =>
  trainer.tensors().flatMap(({ name }) => name.match(/(.*)\.lora_A\.weight$/)?.[1] ?? []);

const NOT_ADAPTED = { a: NO_MATRIX, b: NO_MATRIX };

/** Adapters' gradients against those that whole matrices have at the merged weights. */
function expectFactorGradients(policy: Policy, trainer: Trainer, batch: TrieBatch): void {
  const { tokens_T } = batch;
  using full = Trainer.open(policy, ADAMW);
  backward(full, batch);
  for (const module of modulesOf(trainer)) {
    const { a, b } = factors(trainer, module);
    const data = full.readTensorF64("gradient", `${module}.weight`);
    const dW = { rows: b.rows, columns: a.columns, data };
    const expected = { A: product(transposed(b), dW, SCALE), B: product(dW, transposed(a), SCALE) };
    for (const [factor, { data: wanted }] of Object.entries(expected)) {
      const name = `${module}.lora_${factor}.weight`;
      const error = relativeError(trainer.readTensorF64("gradient", name), wanted);
      expect(error, `${name}, ${tokens_T.length} tokens`).toBeLessThan(1e-10);
    }
  }
}

const SHAPES: readonly [string, Partial<PolicyConfig>, Recompute][] = [
  ["grouped queries", {}, "nothing"],
  ["tied, no bias, layers recomputed", { tied: true, qkvBias: false }, "layers"],
  ["no head norm, one layer recomputed", { qkNorm: false, kvHeads: 4 }, 1],
];
for (const [name, change, recompute] of SHAPES) {
  test(`over random tries dB is s dW A^T and dA is s B^T dW (${name})`, () => {
    using device = openCpu();
    using base = openTiny(device, "f64", change);
    using policy = openTiny(device, "f64", change, 2);
    using trainer = openAdapted(policy, base);
    const tries = forests(37).map((forest) => flatten(forest).batch);
    fc.assert(
      fc.property(tries, (batch) => {
        if (batch.targetRows_N.length === 0) return;
        trainer.zero();
        backward(trainer, batch, recompute);
        expectFactorGradients(policy, trainer, batch);
      }),
      { seed: 3, numRuns: 8 },
    );
  });
}

const SUBSETS: readonly (readonly LoraTarget[])[] = [
  ["q_proj", "v_proj"],
  ["k_proj"],
  ["up_proj"],
  ["o_proj", "gate_proj", "down_proj"],
];
for (const targets of SUBSETS) {
  test(`adapters of ${targets.join(", ")} alone: their gradients, and no other tensor`, () => {
    using device = openCpu();
    using base = openTiny(device, "f64");
    using policy = openTiny(device, "f64", {}, 2);
    using trainer = openAdapted(policy, base, { lora: { ...LORA, targets } });
    backward(trainer, BATCH);
    backward(trainer, BATCH);
    expect(modulesOf(trainer)).toHaveLength(2 * targets.length);
    using twice = openAdapted(policy, base, { lora: { ...LORA, targets } });
    backward(twice, BATCH);
    expectFactorGradients(policy, twice, BATCH);
    for (const { name } of trainer.tensors()) {
      const once = twice.readTensorF64("gradient", name).map((value) => 2 * value);
      expect(relativeError(trainer.readTensorF64("gradient", name), once)).toBeLessThan(1e-12);
    }
    for (const name of ["lm_head.weight", "model.layers.0.self_attn.q_proj.weight"])
      expect(() => trainer.readTensor("gradient", name)).toThrow("that learns");
  });
}

test("gradients are those of finite differences of the adapters", () => {
  using device = openCpu();
  using base = openTiny(device, "f64");
  using policy = openTiny(device, "f64", {}, 2);
  using trainer = openAdapted(policy, base);
  const loss = (): number => {
    const { logprobs_N, entropies_N } = policy.logprobs(BATCH, 1.3);
    const term = (value: number, n: number) =>
      value * Math.cos(n) + entropies_N[n]! * Math.sin(3 * n);
    return logprobs_N.reduce((sum, value, n) => sum + term(value, n), 0);
  };
  backward(trainer, BATCH);
  for (const { name } of trainer.tensors()) {
    const [gradient, values] = (["gradient", "master"] as const).map((which) =>
      trainer.readTensorF64(which, name),
    );
    const middle = values!.length >> 1;
    const [up = 0, down = 0] = [1e-5, -1e-5].map((step) => {
      trainer.writeTensor("master", name, values!.with(middle, values![middle]! + step));
      return loss();
    });
    trainer.writeTensor("master", name, values!);
    const difference = (up - down) / 2e-5;
    expect(Math.abs(difference - gradient![middle]!) / maxAbs(gradient!), name).toBeLessThan(1e-6);
  }
});

test("fresh adapters leave the base as it is: A within 1/sqrt(K), B zero, both of the seed", () => {
  using device = openCpu();
  using base = openTiny(device, "f32");
  const open = (seed: number) => {
    using policy = openTiny(device, "f32", {}, 2);
    using trainer = Trainer.open(policy, { ...ADAMW, lora: LORA, seed }, base);
    for (const { name } of policy.tensors()) expect(policy.read(name)).toEqual(base.read(name));
    return trainer.tensors().map(({ name, shape }) => {
      const values = trainer.readTensor("master", name);
      const bound = name.includes("lora_B") ? 0 : 1 / Math.sqrt(shape[1]!);
      expect(maxAbs(values)).toBeLessThanOrEqual(bound);
      expect(maxAbs(values)).toBeGreaterThanOrEqual(0.7 * bound);
      return values;
    });
  };
  const [one, same, other] = [open(5), open(5), open(6)];
  expect(one).toEqual(same!);
  expect(one).not.toEqual(other!);
});

const MERGED: readonly [Dtype, number][] = [
  ["f64", 1e-14],
  ["f32", 1e-6],
];
for (const [dtype, bound] of MERGED) {
  test(`after steps in ${dtype} the policy is base + s B A within ${bound}, the rest untouched`, () => {
    using device = openCpu();
    using base = openTiny(device, dtype);
    using policy = openTiny(device, dtype, {}, 2);
    using trainer = openAdapted(policy, base);
    const { version } = policy;
    for (let step = 1; step <= 3; step++) {
      backward(trainer, BATCH);
      expect(trainer.step({ learningRate: 0.05, maxGradNorm: 1 }).gradNorm).toBeGreaterThan(0);
      expect(trainer.steps).toBe(step);
      expect(policy.version).toBe(version + step);
    }
    const modules = modulesOf(trainer);
    expect(modules).toHaveLength(14);
    for (const { name } of policy.tensors()) {
      const module = name.slice(0, -".weight".length);
      const frozen = base.readF64(name);
      const { a, b } = modules.includes(module) ? factors(trainer, module) : NOT_ADAPTED;
      const change = product(b, a, SCALE).data;
      const wanted = frozen.map((value, i) => value + (change[i] ?? 0));
      expect(relativeError(policy.readF64(name), wanted), name).toBeLessThanOrEqual(
        modules.includes(module) ? bound : 0,
      );
    }
  });
}
/** To the nearest of bfloat16's eight bits. */
function nearBf16(value: number, wanted: number): boolean {
  return Math.abs(value - wanted) <= Math.abs(wanted) / 256 + 1e-30;
}

test("in bf16 adapters learn in fp32: 40 merges leave half a unit in the last place, not 40", () => {
  using device = openCpu();
  using base = openTiny(device, "bf16");
  using policy = openTiny(device, "bf16", {}, 2);
  using trainer = openAdapted(policy, base);
  for (let step = 0; step < 40; step++) {
    backward(trainer, BATCH);
    trainer.step({ learningRate: 1e-4, maxGradNorm: 1 });
  }
  for (const module of modulesOf(trainer)) {
    const { a, b } = factors(trainer, module);
    expect([...a.data, ...b.data].some(isWide)).toBe(true);
    const change = product(b, a, SCALE).data;
    const frozen = base.readF64(`${module}.weight`);
    const wrong = policy
      .readF64(`${module}.weight`)
      .filter((value, i) => !nearBf16(value, frozen[i]! + change[i]!));
    expect([...wrong], module).toEqual([]);
  }
});

/** Whether a number has more bits than bfloat16's. */
const isWide = (value: number): boolean =>
  (new Uint32Array(Float32Array.of(value).buffer)[0]! & 0xffff) !== 0;

test("gradients of adapters of a bf16 policy are those in double within 6 %", () => {
  using device = openCpu();
  using narrowBase = openTiny(device, "bf16");
  using narrow = openTiny(device, "bf16");
  using wideBase = openTiny(device, "f64");
  for (const { name } of wideBase.tensors()) wideBase.write(name, narrowBase.readF64(name), "f64");
  using wide = openTiny(device, "f64");
  using trainer = openAdapted(narrow, narrowBase);
  using exact = openAdapted(wide, wideBase);
  const batch = rowsBatch([randomIds(60, 37, 1), randomIds(50, 37, 2)]);
  const norm = (values: Float64Array): number => Math.hypot(...values);
  for (const each of [trainer, exact]) {
    const { logprobs_N } = each.logprobs(batch, { temperature: 1 });
    each.backward(logprobs_N.map(() => -1 / logprobs_N.length));
  }
  for (const { name } of trainer.tensors()) {
    const [ours, theirs] = [trainer, exact].map((each) => each.readTensorF64("gradient", name));
    const difference = ours!.map((value, i) => value - theirs![i]!);
    expect(norm(difference) / norm(theirs!), name).toBeLessThan(0.06); // the merge is rounded too
  }
});

test("the state of a trainer in another one makes its next step identical, bit for bit", () => {
  using device = openCpu();
  using base = openTiny(device, "f32");
  using policy = openTiny(device, "f32");
  using trainer = openAdapted(policy, base);
  const step = (each: Trainer): void => {
    backward(each, BATCH);
    each.step({ learningRate: 0.01, maxGradNorm: 1 });
  };
  step(trainer);
  step(trainer);
  using twin = openTiny(device, "f32", {}, 9);
  using twinTrainer = Trainer.open(twin, { ...ADAMW, lora: LORA, seed: 77 }, base);
  for (const { name } of trainer.tensors()) {
    for (const which of ["master", "first_moment", "second_moment"] as const)
      twinTrainer.writeTensor(which, name, trainer.readTensor(which, name));
  }
  twinTrainer.steps = trainer.steps;
  for (const { name } of policy.tensors()) expect(twin.read(name)).toEqual(policy.read(name));
  step(trainer);
  step(twinTrainer);
  for (const { name } of policy.tensors()) expect(twin.read(name)).toEqual(policy.read(name));
});

test("an optimizer of adapters takes no memory for what is frozen", () => {
  using device = openCpu();
  using base = openTiny(device, "f32");
  using policy = openTiny(device, "f32");
  const before = counters().cpuBytes;
  using trainer = Trainer.open(policy, { ...ADAMW, lora: LORA }, base);
  const numbers = trainer.tensors().reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
  const bytes = counters().cpuBytes - before;
  const kinds = 4; // master, gradient, two moments
  expect(bytes).toBeGreaterThanOrEqual(kinds * 4 * numbers);
  expect(bytes).toBeLessThan(kinds * 4 * numbers + 64 * kinds * 16); // alignment of each tensor
});

const REFUSED: readonly [string, Partial<TrainerConfig>, Partial<PolicyConfig> | null, RegExp][] = [
  ["no base", { lora: LORA }, null, /base/],
  ["a base without adapters", {}, {}, /base/],
  ["a base of another shape", { lora: LORA }, { ffn: 30 }, /differ in their config/],
  ["no target", { lora: { ...LORA, targets: [] } }, {}, /names no matrix/],
  ["no alpha", { lora: { ...LORA, alpha: 0 } }, {}, /lora_alpha/],
  ["a negative rank", { lora: { ...LORA, rank: -1 } }, {}, /lora_rank/],
  ["Muon", { lora: LORA, muonMomentum: 0.9 }, {}, /Muon/],
];
for (const [name, config, baseChange, message] of REFUSED) {
  test(`${name}: refused, and nothing is left behind`, () => {
    using device = openCpu();
    using policy = openTiny(device, "f32");
    using base = baseChange === null ? undefined : openTiny(device, "f32", baseChange);
    const weights = policy.read("lm_head.weight");
    const { trainers } = counters();
    expect(() => Trainer.open(policy, { ...ADAMW, ...config }, base)).toThrow(message);
    expect(counters().trainers).toBe(trainers);
    expect(policy.read("lm_head.weight")).toEqual(weights);
  });
}

test("a gradient that is not finite changes neither adapters nor policy", () => {
  using device = openCpu();
  using base = openTiny(device, "f32");
  using policy = openTiny(device, "f32");
  using trainer = openAdapted(policy, base);
  const name = "model.layers.1.mlp.down_proj";
  const before = [
    policy.read(`${name}.weight`),
    trainer.readTensor("master", `${name}.lora_B.weight`),
  ];
  const { logprobs_N } = trainer.logprobs(BATCH, { temperature: 1 });
  trainer.backward(logprobs_N.map(() => Number.POSITIVE_INFINITY));
  expect(() => trainer.step({ learningRate: 1, maxGradNorm: 1 })).toThrow(/finite/);
  expect(policy.read(`${name}.weight`)).toEqual(before[0]!);
  expect(trainer.readTensor("master", `${name}.lora_B.weight`)).toEqual(before[1]!);
  expect(trainer.steps).toBe(0);
});

test("names and shapes of adapters are those of the config", () => {
  using device = openCpu();
  using base = openTiny(device, "f32");
  using policy = openTiny(device, "f32");
  using trainer = Trainer.open(policy, { ...ADAMW, lora: LORA }, base);
  const { hidden, ffn } = tinyConfig();
  const shapes = new Map(trainer.tensors().map(({ name, shape }) => [name, shape]));
  expect(shapes.get("model.layers.1.mlp.down_proj.lora_A.weight")).toEqual([3, ffn]);
  expect(shapes.get("model.layers.1.mlp.down_proj.lora_B.weight")).toEqual([hidden, 3]);
  expect(shapes.get("model.layers.0.self_attn.k_proj.lora_B.weight")).toEqual([12, 3]);
  for (const { name } of trainer.tensors()) trainer.readTensor("gradient", name); // all are there
});
