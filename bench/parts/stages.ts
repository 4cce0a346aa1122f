// What does sharing save in each stage, with nano's own prompts and what the embedded policy
// samples from them, and what where samples read long observations of their own? Forward and
// backward, trie against plain rows.

import type { Trainer } from "../../ffi/trainer.ts";
import { loadRecipe } from "../../src/config/load.ts";
import { modelFolder } from "../../src/train/models.ts";
import { sampleGroups } from "../../src/train/sampling.ts";
import { Session } from "../../src/train/session.ts";
import { openWorld } from "../../src/train/world.ts";
import { Role, type Rollout } from "../../src/types.ts";
import { type Bench, fewer } from "../bench.ts";
import type { Figure } from "../figure.ts";
import { updateFlops } from "../flops.ts";
import { type LongShape, shapeText } from "../shapes.ts";
import { distinctOf, type GradientTiming, rowsOf, timeGradients } from "../step.ts";
import { median, pairedRatio, peakResidentBytes, takeTurns } from "../timing.ts";
import { openTrainer, randomPrompts, sampleAll, tokenSource, Worker } from "../work.ts";

export async function stages(bench: Bench): Promise<readonly Figure[]> {
  return [...(await byStage(bench)), await longObservations(bench)];
}

async function byStage(bench: Bench): Promise<Figure[]> {
  const device = `policy.device=${bench.device}`;
  const recipe = loadRecipe({ source: "nano", overrides: [device] });
  await using closing = new AsyncDisposableStack();
  const world = await openWorld(recipe);
  closing.use(world.toolbox);
  closing.use(world.scorer);
  using session = Session.open(recipe, modelFolder(recipe.policy), world);
  using trainer = openTrainer(session.policy);
  const figures: Figure[] = [];
  for (const [index, { shots }] of recipe.stages.entries()) {
    const groups = await sampleGroups(session.sampler(1, 0), {
      tasks: world.train.slice(0, bench.work.stagePrompts),
      template: session.stageTemplate(index),
      samplesPerTask: bench.work.stageSamples,
      label: `stage${index + 1}`,
      firstStream: 0,
    });
    const rollouts = groups.groups.flatMap(({ samples }) => samples.map((each) => each.rollout));
    const what = `trie, nano's prompts with ${shots} demonstrations`;
    figures.push(await compare(bench, trainer, rollouts, `stages.${shots}`, what));
  }
  return figures;
}

async function longObservations(bench: Bench): Promise<Figure> {
  const { long } = bench.work;
  using worker = Worker.open(bench.device, "nano", [long.step], { trains: true });
  const prompts = randomPrompts(long.step, worker.policy.config.vocab);
  const sampled = await sampleAll(worker.engine, prompts, long.step, 0);
  const rollouts = withObservations(sampled, long, worker.policy.config.vocab);
  const [from, to] = long.observation;
  const what = `trie, ${from} to ${to} tokens observed by each sample`;
  const figure = await compare(bench, worker.trainer, rollouts, "stages.long", what);
  return { ...figure, note: `${shapeText(long.step)}; ${figure.note}` };
}

/** Each sample's turn is cut in two, and a result that nobody else has stands between. */
function withObservations(
  rollouts: readonly Rollout[],
  { observation: [from, to], step }: LongShape,
  vocab: number,
): Rollout[] {
  const draw = tokenSource(vocab);
  return rollouts.map((rollout, i) => {
    const cut = rollout.promptTokens + (step.sampled >> 1);
    const observed = draw(from + ((i * 97) % (to - from + 1)));
    const insert = <A extends Int32Array | Uint8Array>(into: A, values: A, between: A): A => {
      into.set(values.subarray(0, cut));
      into.set(between, cut);
      into.set(values.subarray(cut), cut + between.length);
      return into;
    };
    const length = rollout.tokens_L.length + observed.length;
    const observing = new Uint8Array(observed.length).fill(Role.observation);
    const tokens_L = insert(new Int32Array(length), rollout.tokens_L, observed);
    const roles_L = insert(new Uint8Array(length), rollout.roles_L, observing);
    return { ...rollout, tokens_L, roles_L };
  });
}

async function compare(
  bench: Bench,
  trainer: Trainer,
  rollouts: readonly Rollout[],
  key: string,
  what: string,
): Promise<Figure> {
  const arms = [true, false].map(
    (share) => (): GradientTiming => timeGradients(trainer, rollouts, { share }),
  );
  for (const arm of arms) arm();
  const [shared, rows] = await takeTurns(arms, fewer(bench));
  const [trie, plain] = [shared!, rows!].map((each) => each.map(({ ms }) => ms / 1000));
  const flops = (timings: readonly GradientTiming[]): number => {
    return updateFlops(trainer.policy.config, timings[0]!.batches).useful;
  };
  const flopRatio = flops(rows!) / flops(shared!);
  const ratio = pairedRatio(trie!, plain!);
  const { batches } = shared![0]!;
  const [row, distinct] = [rowsOf(batches), distinctOf(batches)];
  const reached = ((100 * ratio) / flopRatio).toFixed(0);
  return {
    key,
    what,
    value: median(trie!),
    unit: "s",
    other: { name: "plain rows in icrl", value: median(plain!) },
    ratio,
    peakBytes: peakResidentBytes(),
    note:
      `trie ratio ${(row / distinct).toFixed(2)} (${row} row tokens are ${distinct} distinct); ` +
      `FLOP ratio ${flopRatio.toFixed(2)}, ${reached} % of it reached`,
  };
}
