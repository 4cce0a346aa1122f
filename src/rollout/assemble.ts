// Decides what one step computes: a walk over the prompt trie, depth-first, so that the rows that
// read a shared run are neighbours. Each sequence that samples gets its new tokens in; a run that
// nobody has computed goes before what is below it. Not here: who samples, and what becomes of the
// result (in-process.ts).

import type { CacheBatch } from "../../ffi/cache.ts";
import type { PrefixNode } from "./blocks.ts";
import type { Sampling } from "./engine.ts";
import type { Sequence } from "./sequence.ts";
import { StepBatch } from "./step-batch.ts";

type Node = PrefixNode<Sequence>;

export class StepAssembler {
  /** Row n of the step samples for sequences[n]. */
  readonly sequences: Sequence[] = [];
  private readonly batch: StepBatch;
  private prefillLeft = 0;

  constructor(
    pageTokens: number,
    private readonly maxPrefillTokens: number,
  ) {
    this.batch = new StepBatch(pageTokens);
  }

  /**
   * The step of all sequences that sample with the seed and temperature of `common`. Valid until
   * the next one.
   */
  assemble(root: Node, common: Sampling): CacheBatch {
    this.batch.clear();
    this.sequences.length = 0;
    this.prefillLeft = this.maxPrefillTokens;
    this.addBelow(root, common);
    const wantLogits = this.sequences.some((each) => numTopOf(each) > 0);
    return { ...this.batch.view(common.seed, common.temperature), wantLogits };
  }

  /** The node's missing tokens, then what is below it. */
  private addNode(node: Node, common: Sampling): void {
    const firstRow = this.batch.numTokens;
    const segment = this.batch.openSegment();
    if (node.cached < node.tokens.length) this.prefill(node);
    if (node.cached === node.tokens.length) this.addBelow(node, common);
    this.batch.closeSegment(segment, node.cached, node.start, node.pages, firstRow);
  }

  private prefill(node: Node): void {
    const end = Math.min(node.tokens.length, node.cached + this.prefillLeft);
    this.batch.addTokens(node.tokens, node.cached, end, node.start, node.pages);
    this.prefillLeft -= end - node.cached;
    node.cached = end;
  }

  private addBelow(node: Node, common: Sampling): void {
    for (const sequence of node.sequences) {
      const sampling = sequence.turn?.sampling;
      if (sampling === undefined || sampling.seed !== common.seed) continue;
      if (sampling.temperature === common.temperature) this.addSequence(sequence, sampling);
    }
    for (const child of node.children.values()) if (child.active > 0) this.addNode(child, common);
  }

  /**
   * The sequence's new tokens. Its last one, after which it samples, is not held back by the limit
   * on prefill.
   */
  private addSequence(sequence: Sequence, { group, sample }: Sampling): void {
    const { batch } = this;
    const { position, cached, pages } = sequence;
    const before = sequence.length - 1 - cached;
    const prefill = Math.min(before, this.prefillLeft);
    const end = cached + prefill + (prefill === before ? 1 : 0);
    const firstRow = batch.numTokens;
    const segment = batch.openSegment();
    batch.addTokens(sequence.tokens, cached, end, position, pages!);
    batch.closeSegment(segment, end, position, pages!, firstRow);
    this.prefillLeft -= prefill;
    sequence.cached = end;
    if (prefill < before) return;
    batch.sampleAfterLast(group, sample, position + sequence.length);
    this.sequences.push(sequence);
  }
}

/** Most probable tokens that the turn in progress wants to know of. */
export const numTopOf = ({ turn }: Sequence): number => turn?.sampling.numTop ?? 0;
