// The rollout engine inside this process: continuous batching over a paged KV cache. Each step
// computes, in one forward, what is new of every sequence that samples now: a prompt not seen
// before, an observation, or the token sampled last. A sequence that waits for a tool is simply not
// in the step; nobody waits for it. Not here: pages (blocks.ts), turns (sequence.ts), a step's rows
// (assemble.ts).
//
// Between two steps the loop lets the event loop turn once, so everything that is ready joins the
// next step: with tools that answer at once, the batches are a pure function of what was asked.

import type { CacheBatch, KvCache } from "../../ffi/cache.ts";
import type { Policy } from "../../ffi/policy.ts";
import type {
  EngineCounters,
  EngineSequence,
  PromptRuns,
  RolloutEngine,
  SampledTurn,
  Sampling,
} from "./engine.ts";
import { lineage, PagePool, PrefixTrie } from "./blocks.ts";
import { NO_COUNTERS } from "./engine.ts";
import { Sequence } from "./sequence.ts";
import { numTopOf, StepAssembler } from "./assemble.ts";
import { NO_TOP, type TopToken, topTokens } from "./top-tokens.ts";

export interface InProcessOptions {
  /** Prompt and observation tokens of one step; longer ones are computed over several steps. */
  readonly maxPrefillTokens: number;
  /** false: every sequence computes its whole prompt itself. For tests and measurements. */
  readonly sharePrefixes: boolean;
}
const DEFAULTS: InProcessOptions = { maxPrefillTokens: 8192, sharePrefixes: true };

type Samples = ReturnType<KvCache["forward"]>;

/** `cache` belongs to the engine alone while it is used, but whoever opened it closes it. */
export class InProcessEngine implements RolloutEngine {
  private readonly options: InProcessOptions;
  private readonly pool: PagePool;
  private readonly trie: PrefixTrie<Sequence>;
  private readonly assembler: StepAssembler;
  private readonly sampling = new Set<Sequence>(); // admitted, with a turn in progress
  private waiting: Sequence[] = []; // for pages, first come first served
  private numAdmitted = 0;
  private running = false;
  private version: number; // of what the cache holds
  private stale: string | undefined; // why what the cache holds is not to be read
  private sums: EngineCounters = NO_COUNTERS;

  constructor(
    private readonly policy: Policy,
    private readonly cache: KvCache,
    options: Partial<InProcessOptions> = {},
  ) {
    this.options = { ...DEFAULTS, ...options };
    this.pool = new PagePool(cache.numPages, cache.pageTokens);
    this.trie = new PrefixTrie(this.pool);
    this.assembler = new StepAssembler(cache.pageTokens, this.options.maxPrefillTokens);
    this.version = policy.version;
    cache.reset();
  }

  get policyVersion(): number {
    return this.policy.version;
  }

  /** Pages held by open sequences and the runs above them. */
  get pagesInUse(): number {
    return this.trie.pagesInUse;
  }

  counters(): EngineCounters {
    return this.sums;
  }

  forget(): void {
    this.stale ??= "the cache was to be forgotten";
  }

  open(prompt: PromptRuns, maxNewTokens: number): EngineSequence {
    const { shared, own } = this.options.sharePrefixes
      ? splitLast(prompt)
      : { shared: [], own: joined(prompt) };
    const node = this.trie.open(shared);
    const sequence = new Sequence(node, own, maxNewTokens);
    const pages = this.trie.worstCase(node, sequence.maxTokens);
    if (pages > this.pool.numPages) {
      this.trie.close(node);
      const tokens = sequence.position + sequence.maxTokens;
      throw new RangeError(
        `a rollout of ${tokens} tokens needs ${pages} cache pages, there are ${this.pool.numPages}`,
      );
    }
    return this.handle(sequence);
  }

  private handle(sequence: Sequence): EngineSequence {
    return {
      generate: (sampling) => this.generate(sequence, sampling),
      append: (tokens) => sequence.append(tokens),
      transcript: () => sequence.transcript(),
      [Symbol.dispose]: () => this.close(sequence),
    };
  }

  private generate(sequence: Sequence, sampling: Sampling): Promise<SampledTurn> {
    const turn = sequence.begin(sampling);
    if (sequence.pages === null) this.waiting.push(sequence);
    else this.activate(sequence);
    this.wake();
    return turn;
  }

  private close(sequence: Sequence): void {
    if (sequence.closed) return;
    sequence.closed = true;
    this.deactivate(sequence);
    sequence.fail(new Error("the sequence was closed while it was sampling"));
    if (sequence.pages === null) this.waiting = this.waiting.filter((each) => each !== sequence);
    else this.release(sequence, sequence.pages);
    this.trie.close(sequence.node);
  }

  private release(sequence: Sequence, pages: Int32Array): void {
    const { sequences } = sequence.node;
    sequences.splice(sequences.indexOf(sequence), 1);
    this.trie.release(sequence.node, pages);
    this.numAdmitted--;
    if (this.waiting.length > 0) this.wake();
  }

  private activate(sequence: Sequence): void {
    this.sampling.add(sequence);
    for (const node of lineage(sequence.node)) node.active++;
  }

  private deactivate(sequence: Sequence): void {
    if (!this.sampling.delete(sequence)) return;
    for (const node of lineage(sequence.node)) node.active--;
  }

  private wake(): void {
    if (this.running) return;
    this.running = true;
    void this.run();
  }

  /** Steps until nobody samples. A failure goes to everyone who waits for tokens. */
  private async run(): Promise<void> {
    try {
      for (;;) {
        await eventLoopTurn();
        this.adoptVersion();
        this.admit();
        if (this.sampling.size === 0) break;
        this.step();
      }
    } catch (error) {
      this.failAll(error);
    }
    this.running = false;
  }

  private adoptVersion(): void {
    if (this.policy.version === this.version && this.stale === undefined) return;
    const why = this.stale ?? "the policy changed";
    if (this.numAdmitted > 0) throw new Error(`${why} while sequences were open: close them first`);
    this.trie.forget();
    this.cache.reset();
    this.version = this.policy.version;
    this.stale = undefined;
  }

  private admit(): void {
    let admitted = 0;
    for (const sequence of this.waiting) {
      sequence.pages = this.trie.admit(sequence.node, sequence.maxTokens) ?? null;
      if (sequence.pages === null) break;
      sequence.node.sequences.push(sequence);
      this.activate(sequence);
      admitted++;
    }
    this.numAdmitted += admitted;
    if (admitted > 0) this.waiting = this.waiting.slice(admitted);
  }

  private failAll(error: unknown): void {
    this.stale = "a step failed";
    const failed = [...this.sampling, ...this.waiting];
    this.waiting = [];
    for (const sequence of failed) {
      this.deactivate(sequence);
      sequence.fail(error);
    }
  }

  private step(): void {
    const start = performance.now();
    const input = this.assembler.assemble(this.trie.root, this.oldestSampling());
    const forward = performance.now();
    const samples = this.cache.forward(input);
    const forwardMs = performance.now() - forward;
    this.deliver(samples, input.temperature);
    this.count(input, forwardMs, performance.now() - start - forwardMs);
  }

  /** A step has one seed and one temperature: those of the sequence served least recently. */
  private oldestSampling(): Sampling {
    const [oldest] = this.sampling;
    return oldest!.turn!.sampling;
  }

  private deliver(samples: Samples, temperature: number): void {
    const { ids_N, logprobs_N, entropies_N } = samples;
    const { sequences } = this.assembler;
    const othersWait = sequences.length < this.sampling.size;
    for (let n = 0; n < sequences.length; n++) {
      const sequence = sequences[n]!;
      const top = topOf(samples, n, numTopOf(sequence), temperature);
      const ended = sequence.accept(ids_N[n]!, logprobs_N[n]!, entropies_N[n]!, top);
      if (ended) {
        this.deactivate(sequence);
        sequence.finish(this.version);
      } else if (othersWait) {
        this.sampling.delete(sequence);
        this.sampling.add(sequence);
      }
    }
  }

  private count(input: CacheBatch, forwardMs: number, overheadMs: number): void {
    const { sums } = this;
    const computed = input.tokens_T.length;
    const prefill = computed - input.rows_N.length;
    this.sums = {
      steps: sums.steps + 1,
      prefillTokens: sums.prefillTokens + prefill,
      decodeTokens: sums.decodeTokens + input.rows_N.length,
      prefillMs: sums.prefillMs + (forwardMs * prefill) / computed,
      decodeMs: sums.decodeMs + forwardMs * (1 - prefill / computed),
      overheadMs: sums.overheadMs + overheadMs,
    };
  }
}

function topOf(
  { ids_N, logprobs_N, logits_NV }: Samples,
  n: number,
  count: number,
  temperature: number,
): readonly TopToken[] {
  if (count === 0 || logits_NV === undefined) return NO_TOP;
  const vocab = logits_NV.length / ids_N.length;
  const known = { id: ids_N[n]!, logprob: logprobs_N[n]! };
  const logits_V = logits_NV.subarray(n * vocab, (n + 1) * vocab);
  return topTokens(logits_V, count, known, temperature > 0 ? temperature : 1);
}

/** All but the last token can be shared. */
function splitLast(prompt: PromptRuns): { shared: Int32Array[]; own: Int32Array } {
  const runs = prompt.filter((run) => run.length > 0);
  const last = runs.pop();
  if (last === undefined) throw new RangeError("a prompt has at least one token");
  return { shared: [...runs, last.subarray(0, -1)], own: last.subarray(-1) };
}

function joined(prompt: PromptRuns): Int32Array {
  return Int32Array.from(prompt.flatMap((run) => [...run]));
}

const eventLoopTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
