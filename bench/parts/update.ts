// What does sharing prefixes save in an update, of what arithmetic says it could? And how fast is
// an update that shares nothing, against transformers in eager PyTorch? Forward and backward of the
// same rollouts of nano's shape, without the optimizer.

import type { DeviceLimits } from "../../ffi/device.ts";
import type { PolicyConfig } from "../../ffi/policy.ts";
import type { Rollout } from "../../src/types.ts";
import { type Bench, peakFlops, policyArguments } from "../bench.ts";
import { type Figure, ratioAtLeast, valueAtLeast } from "../figure.ts";
import { updateFlops } from "../flops.ts";
import type { Answer } from "../opponents.ts";
import { shapeText, type StepShape } from "../shapes.ts";
import { distinctOf, type GradientTiming, rowsOf, timeGradients } from "../step.ts";
import { median, pairedRatio, peakResidentBytes, takeTurns } from "../timing.ts";
import { randomPrompts, sampleAll, Worker } from "../work.ts";

const MICRO_ROWS = 8; // that transformers takes at a time

export async function updates(bench: Bench): Promise<readonly Figure[]> {
  const shape = bench.work.step;
  using worker = Worker.open(bench.device, "nano", [shape], { trains: true });
  const { trainer, policy } = worker;
  const prompts = randomPrompts(shape, policy.config.vocab);
  const rollouts = await sampleAll(worker.engine, prompts, shape, 0);
  const trie = (): GradientTiming => timeGradients(trainer, rollouts, { share: true });
  const plain = (): GradientTiming => timeGradients(trainer, rollouts, { share: false });
  // The one that needs less memory warms up first, so that each has a peak of its own.
  trie();
  const triePeak = peakResidentBytes();
  plain();
  const plainPeak = peakResidentBytes();
  const [shared, rows] = await takeTurns([trie, plain], bench.repeats);
  const alone = await nothingToShare(bench, worker, rollouts);
  const eager = await againstEager(bench, policy.config, shape, plain, plainPeak);
  const limits = bench.limits();
  const pair = { shared: shared!, rows: rows!, triePeak, plainPeak };
  return [...sharingFigures(pair, policy.config, limits, shapeText(shape)), alone, ...eager];
}

interface Pair {
  readonly shared: readonly GradientTiming[];
  readonly rows: readonly GradientTiming[];
  readonly triePeak: number;
  readonly plainPeak: number;
}

const secondsOf = (timings: readonly GradientTiming[]): number[] =>
  timings.map(({ ms }) => ms / 1000);

function sharingFigures(
  { shared, rows, triePeak, plainPeak }: Pair,
  config: PolicyConfig,
  limits: DeviceLimits,
  note: string,
): Figure[] {
  const [trie, plain] = [secondsOf(shared), secondsOf(rows)];
  const { batches } = shared[0]!;
  const flops = updateFlops(config, batches);
  const plainFlops = updateFlops(config, rows[0]!.batches);
  const flopRatio = plainFlops.useful / flops.useful;
  const ratio = pairedRatio(trie, plain);
  const other = { name: "plain rows in icrl", value: median(plain), peakBytes: plainPeak };
  const tokens = `${rowsOf(batches)} row tokens are ${distinctOf(batches)} distinct ones`;
  const rate = (each: typeof flops, seconds: readonly number[]): Pick<Figure, "value" | "note"> => {
    const perSecond = each.useful / median(seconds);
    const done = (each.useful + each.recomputed) / median(seconds) / peakFlops(limits);
    const percent = Math.round(100 * done);
    return { value: perSecond / peakFlops(limits), note: `${percent} % with what is recomputed` };
  };
  return [
    {
      key: "update.trie",
      what: "update on the trie, nano",
      value: median(trie),
      unit: "s",
      other,
      ratio,
      wanted: ratioAtLeast(4),
      peakBytes: triePeak,
      note: `forward and backward; ${note}; ${tokens}`,
    },
    { key: "update.flops", what: "FLOP ratio of the two", value: flopRatio, unit: "x" },
    {
      key: "update.share",
      what: "share of the FLOP ratio that is reached",
      value: ratio / flopRatio,
      unit: "%",
      wanted: valueAtLeast(0.85),
    },
    { key: "update.rate", what: "FLOP rate on the trie, of the peak", unit: "%", ...rate(flops, trie) },
    {
      key: "update.plain-rate",
      what: "FLOP rate in plain rows, of the peak",
      unit: "%",
      ...rate(plainFlops, plain),
    },
  ];
}

/** One sample of each prompt, from prompts that differ in the first token. */
async function nothingToShare(
  bench: Bench,
  { trainer, policy }: Worker,
  rollouts: readonly Rollout[],
): Promise<Figure> {
  const different = rollouts.slice(0, 32).map((rollout, i) => {
    const tokens_L = rollout.tokens_L.slice();
    tokens_L[0] = 3 + (i % (policy.config.vocab - 3));
    return { ...rollout, tokens_L };
  });
  const contestants = [true, false].map(
    (share) => (): GradientTiming => timeGradients(trainer, different, { share }),
  );
  for (const each of contestants) each();
  const [trie, plain] = (await takeTurns(contestants, bench.repeats)).map(secondsOf);
  return {
    key: "update.nothing-shared",
    what: "trie where nothing is shared, nano",
    value: median(trie!),
    unit: "s",
    other: { name: "plain rows in icrl", value: median(plain!) },
    ratio: pairedRatio(trie!, plain!),
    wanted: ratioAtLeast(0.98),
    note: `${different.length} rollouts without a common token in front`,
  };
}

async function againstEager(
  { opponents, repeats }: Bench,
  config: PolicyConfig,
  shape: StepShape,
  plain: () => GradientTiming,
  peakBytes: number,
): Promise<Figure[]> {
  const work = { policy: policyArguments(config), shape, micro: MICRO_ROWS };
  using eager = await opponents.script("update", ["torch", "transformers"], work);
  if (eager === undefined) return [];
  const contestants = [plain, (): Promise<Answer> => eager.ask()];
  const [a, b] = await takeTurns<GradientTiming | Answer>(contestants, repeats);
  const [ours, theirs] = [secondsOf(a as GradientTiming[]), (b as Answer[]).map((x) => x.seconds)];
  const { peak_bytes: theirPeak } = (b as Answer[]).at(-1)!;
  return [
    {
      key: "update.eager",
      what: "update without any sharing, nano",
      value: median(ours),
      unit: "s",
      other: { name: "transformers, eager", value: median(theirs), peakBytes: theirPeak },
      ratio: pairedRatio(ours, theirs),
      wanted: ratioAtLeast(1.3),
      peakBytes,
      note: `the same ${shape.prompts * shape.samples} rows, ${MICRO_ROWS} at a time there`,
    },
  ];
}
