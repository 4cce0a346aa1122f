// How fast is a policy of 0.5B's shape decoded, for one sequence and for several at once? Against
// llama.cpp on the same weights (GGUF files written here, fp32 and fp16) and transformers.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceLimits } from "../../ffi/device.ts";
import { type Bench, fewer, policyArguments } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { type GgufDtype, writeGguf } from "../gguf.ts";
import type { Answer, Peer } from "../opponents.ts";
import { ropeTheta, shapeText, type StepShape } from "../shapes.ts";
import { type StepTiming, timeGenerate } from "../step.ts";
import { median, pairedRatio, peakResidentBytes, takeTurns } from "../timing.ts";
import { type Prompt, randomPrompts, sampleAll, Worker } from "../work.ts";
import { decodeAlone, limitFigures } from "./decode.ts";

type Generated = Pick<StepTiming, "generateMs" | "prefillMs">;

/** One sequence a prompt, nothing in common. */
function batchShape({ work }: Bench, batch: number): StepShape {
  const { prompt, sampled } = work.largeDecode;
  return { prompts: batch, samples: 1, shared: 0, own: prompt, sampled };
}

export async function largeDecode(bench: Bench): Promise<readonly Figure[]> {
  const shapes = bench.work.largeBatches.map((batch) => batchShape(bench, batch));
  using worker = Worker.open(bench.device, bench.work.large, shapes, { trains: false });
  const folder = mkdtempSync(join(tmpdir(), "icrl-bench-"));
  try {
    const measured = [];
    for (const shape of shapes) measured.push(await oneBatch(bench, worker, shape, folder));
    const limits = bench.limits();
    return measured.flatMap((each) => batchFigures(each, worker, limits));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Against {
  readonly name: string;
  readonly seconds: readonly number[]; // of decoding alone
  readonly peakBytes: number;
  /** The ids that it takes greedily, where it tells them. */
  readonly ids: readonly (readonly number[])[] | undefined;
}
interface Measured {
  readonly shape: StepShape;
  readonly greedy: readonly Int32Array[];
  readonly steps: readonly Generated[];
  readonly against: readonly Against[];
  readonly peakBytes: number;
}

async function oneBatch(
  bench: Bench,
  worker: Worker,
  shape: StepShape,
  folder: string,
): Promise<Measured> {
  const prompts = randomPrompts(shape, worker.policy.config.vocab);
  let seed = 0;
  const ours = (): Promise<Generated> => timeGenerate(worker, prompts, shape, seed++);
  await ours();
  const peakBytes = peakResidentBytes();
  const against: Against[] = [];
  const steps: Generated[] = [];
  for (const open of openers(bench, worker, prompts, shape, folder)) {
    using peer = await open();
    if (peer === undefined) continue;
    const contestants = [ours, (): Promise<Answer> => peer.ask()];
    const [a, b] = await takeTurns<Generated | Answer>(contestants, fewer(bench));
    steps.push(...(a as Generated[]));
    against.push(asAgainst(peer.name, b as Answer[], shape));
  }
  if (steps.length === 0) steps.push(...(await takeTurns([ours], fewer(bench)))[0]!);
  const rollouts = await sampleAll(worker.engine, prompts, shape, 0, 0);
  const greedy = rollouts.map(({ tokens_L }) => tokens_L.subarray(shape.own));
  return { shape, greedy, steps, against, peakBytes };
}

/** One at a time: each holds all weights. */
function openers(
  { opponents, work }: Bench,
  { policy }: Worker,
  prompts: readonly Prompt[],
  shape: StepShape,
  folder: string,
): readonly (() => Promise<Peer | undefined>)[] {
  const ids = prompts.map(({ own }) => [...own]);
  const llama = (dtype: GgufDtype) => async (): Promise<Peer | undefined> => {
    const file = join(folder, `${dtype}.gguf`);
    const isMissing = opponents.hasLlama && !existsSync(file);
    if (isMissing) writeGguf(policy, file, dtype, ropeTheta(work.large));
    const name = `llama.cpp ${dtype}`;
    return opponents.llama(name, { file, prompts: ids, sampled: shape.sampled });
  };
  const same = { policy: policyArguments(policy.config), shape };
  const transformers = (): Promise<Peer | undefined> =>
    opponents.script("generate", ["torch", "transformers"], same);
  return [llama("f32"), llama("f16"), transformers];
}

function asAgainst(name: string, answers: readonly Answer[], shape: StepShape): Against {
  const isGenerate = name === "generate";
  const seconds = answers.map((each) => (isGenerate ? decodeAlone(each, shape) : each.seconds));
  const shown = isGenerate ? "transformers" : name;
  const { peak_bytes: peakBytes, ids } = answers.at(-1)!;
  return { name: shown, seconds, peakBytes, ids: ids as number[][] | undefined };
}

/** Sequences whose greedy ids are ours from the first to the last. */
function agreement(greedy: readonly Int32Array[], ids: Against["ids"]): string {
  if (ids === undefined) return "";
  const equal = greedy.filter((own, i) => own.every((id, t) => id === ids[i]![t])).length;
  return `; takes our greedy ids in ${equal} of ${greedy.length} sequences`;
}

function batchFigures(
  { shape, greedy, steps, against, peakBytes }: Measured,
  { policy }: Worker,
  limits: DeviceLimits,
): Figure[] {
  const { prompts: batch, sampled } = shape;
  const tokens = batch * sampled;
  const seconds = steps.map(({ generateMs, prefillMs }) => (generateMs - prefillMs) / 1000);
  const key = `large.decode-${batch}`;
  const speed: Figure = {
    key,
    what: `decode, 0.5B shape, batch ${batch}`,
    value: tokens / median(seconds),
    unit: "tok/s",
    peakBytes,
    note: shapeText(shape),
  };
  const compared = against.map((each, index): Figure => {
    const rounds = each.seconds.length;
    const own = seconds.slice(index * rounds, (index + 1) * rounds);
    const other = { name: each.name, value: tokens / median(each.seconds), peakBytes: each.peakBytes };
    const ratio = pairedRatio(own, each.seconds);
    const value = tokens / median(own);
    const note = `${shapeText(shape)}${agreement(greedy, each.ids)}`;
    return { ...speed, key: `${key}.${index}`, value, other, ratio, note };
  });
  const shares = limitFigures(steps, policy.config, shape, limits, key);
  return [...(compared.length > 0 ? compared : [speed]), ...shares];
}
