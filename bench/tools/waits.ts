// How much of a step's sampling is spent waiting for tools: 256 rollouts of nano, whose every call
// waits 300 ms on an HTTP endpoint in another process. The first call of each is given, so that
// each has one; what comes after it is sampled with the real engine. Taking turns with it the same
// rollouts with an endpoint that answers at once. Where nobody waits for another, all of it takes
// no longer than the time without waits and the own waits of the rollout that waited most.
//   npx bun bench/tools/waits.ts [--json]

import { join } from "node:path";
import type { EngineSequence, PromptRuns, RolloutEngine } from "../../src/rollout/engine.ts";
import type { ToolFigures } from "../../src/run/metrics.ts";
import { openRecipe } from "../../src/train/open-checkpoint.ts";
import { sampleGroups, type SampledGroups } from "../../src/train/sampling.ts";
import { median, takeTurns } from "../timing.ts";

const WAIT_MS = 300;
const PROMPTS = 32;
const SAMPLES = 8;
const ROUNDS = 3;
const FIRST_TURN = "<think> I need the mayor of Orn. </think>\n<search> mayor of Orn </search>";

interface Measured {
  readonly wallMs: number;
  readonly rounds: number; // calls of the rollout that called most
  readonly tool: ToolFigures;
}

/** The first turn of every rollout is given; the engine reads it and goes on from there. */
class CallingEngine implements RolloutEngine {
  constructor(
    private readonly engine: RolloutEngine,
    private readonly ids: readonly number[],
  ) {}

  get policyVersion(): number {
    return this.engine.policyVersion;
  }

  counters() {
    return this.engine.counters();
  }

  forget(): void {
    this.engine.forget();
  }

  open(prompt: PromptRuns, maxNewTokens: number): EngineSequence {
    const sequence = this.engine.open(prompt, maxNewTokens);
    const { ids, policyVersion } = this;
    let isFirst = true;
    return {
      async generate(sampling) {
        if (!isFirst) return sequence.generate(sampling);
        isFirst = false;
        sequence.append(ids);
        ids.forEach((id) => sampling.shouldStop(id, 0, []));
        const [ids_N, none] = [Int32Array.from(ids), new Float32Array(ids.length)];
        return { ids_N, logprobs_N: none, entropies_N: none, stopped: true, policyVersion };
      },
      append: (tokens) => sequence.append(tokens),
      transcript: () => sequence.transcript(),
      [Symbol.dispose]: () => sequence[Symbol.dispose](),
    };
  }
}

async function measure(waitMs: number): Promise<Measured> {
  const server = Bun.spawn(
    [process.execPath, join(import.meta.dir, "waiting-server.ts"), String(waitMs)],
    { stdout: "pipe" },
  );
  try {
    return await sample(await firstLine(server.stdout));
  } finally {
    server.kill();
  }
}

async function sample(url: string): Promise<Measured> {
  const tool = { kind: "http", url, recording: false, concurrency: PROMPTS * SAMPLES };
  const limits = { max_observation_tokens: 64 };
  await using opened = await openRecipe("nano", [
    `tool.search=${JSON.stringify({ ...tool, ...limits })}`,
  ]);
  const { session } = opened;
  const sampler = session.sampler(1, 1);
  const engine = new CallingEngine(sampler.engine, session.tokenizer.encode(FIRST_TURN));
  const start = performance.now();
  const sampled = await sampleGroups({ ...sampler, engine }, {
    tasks: session.world.train.slice(0, PROMPTS),
    template: session.shotsTemplate(3),
    samplesPerTask: SAMPLES,
    label: "waits",
    firstStream: 0,
  });
  const wallMs = performance.now() - start;
  const [figures] = session.world.toolbox.figures();
  return { wallMs, rounds: mostCalls(sampled), tool: figures! };
}

function mostCalls({ groups }: SampledGroups): number {
  const rollouts = groups.flatMap(({ samples }) => samples.map(({ rollout }) => rollout));
  return Math.max(
    ...rollouts.map(({ turns }) => turns.flatMap(({ toolCalls }) => toolCalls).length),
  );
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  for await (const chunk of stream) return new TextDecoder().decode(chunk).trim();
  throw new Error("the server did not start");
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

await measure(0); // the first one pays for starting
const turns = await takeTurns([() => measure(0), () => measure(WAIT_MS)], ROUNDS);
const [atOnceMs, wallMs] = turns.map((each) => median(each.map((one) => one.wallMs))) as [
  number,
  number,
];
const { tool, rounds } = turns[1]![0]!;
const summary = {
  rollouts: PROMPTS * SAMPLES,
  calls: tool.calls,
  rounds,
  wall_ms: wallMs,
  wall_without_waits_ms: atOnceMs,
  sum_of_waits_ms: tool.calls * WAIT_MS,
  longest_own_waits_ms: rounds * WAIT_MS,
  p50_ms: tool.p50Ms,
  p99_ms: tool.p99Ms,
  failures: tool.failures,
};
const rows = [
  ["rollouts", `${summary.rollouts}`],
  ["calls, most of them by one rollout", `${summary.calls}, ${summary.rounds}`],
  [`sampling, each call waiting ${WAIT_MS} ms`, ms(summary.wall_ms)],
  ["sampling, calls answered at once", ms(summary.wall_without_waits_ms)],
  ["all waits, one after another", ms(summary.sum_of_waits_ms)],
  ["own waits of the rollout that waited most", ms(summary.longest_own_waits_ms)],
  ["a call, p50 and p99", `${ms(summary.p50_ms)}, ${ms(summary.p99_ms)}`],
];
const table = rows.map(([what, value]) => `${what!.padEnd(44)}${value}`).join("\n");
process.stdout.write(`${process.argv.includes("--json") ? JSON.stringify(summary) : table}\n`);
