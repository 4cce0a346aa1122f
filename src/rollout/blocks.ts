// Who owns which pages of the KV cache. Prompts form a trie of runs (demonstrations, then
// question); a run's node owns its pages, and all sequences below it read them, so that a run is
// computed once. The last page of a run may be partly empty: a child starts on a page of its own,
// hence nothing is ever copied. Not here: keys and values, and steps (in-process.ts).
//
// A sequence gets all the pages that it can ever need when it is admitted, so no two sequences can
// wait for each other. A node whose last sequence has left keeps its pages until another needs
// them: the least recently left goes first.

export class PagePool {
  private readonly free: Int32Array; // a stack
  private numFree: number;

  constructor(
    readonly numPages: number,
    readonly pageTokens: number,
  ) {
    this.free = Int32Array.from({ length: numPages }, (_, i) => numPages - 1 - i);
    this.numFree = numPages;
  }

  get freePages(): number {
    return this.numFree;
  }

  pagesFor(numTokens: number): number {
    return Math.ceil(numTokens / this.pageTokens);
  }

  take(count: number): Int32Array {
    if (count > this.numFree) throw new Error(`${count} pages wanted, ${this.numFree} free`);
    this.numFree -= count;
    return this.free.slice(this.numFree, this.numFree + count).reverse();
  }

  give(pages: Int32Array): void {
    this.free.set(pages.toReversed(), this.numFree);
    this.numFree += pages.length;
  }
}

const NO_PAGES = new Int32Array(0);
const NO_TOKENS = new Int32Array(0);

/** A run of prompt tokens below its parent. `S` is what the engine calls a sequence. */
export class PrefixNode<S> {
  readonly children = new Map<bigint, PrefixNode<S>>();
  readonly sequences: S[] = []; // admitted ones whose prompt ends here, oldest first
  readonly start: number; // position of the first token
  pages: Int32Array = NO_PAGES;
  cached = 0; // tokens whose keys and values are in the pages
  handles = 0; // open sequences at or below, also those that wait
  admitted = 0; // of those, the ones that hold pages
  active = 0; // of those, the ones that sample now

  constructor(
    readonly parent: PrefixNode<S> | null,
    readonly key: bigint,
    readonly tokens: Int32Array,
  ) {
    this.start = parent === null ? 0 : parent.end;
  }

  get end(): number {
    return this.start + this.tokens.length;
  }
}

export class PrefixTrie<S> {
  readonly root = new PrefixNode<S>(null, 0n, NO_TOKENS);
  /** Computed, without sequences; a child comes before its parent. */
  private readonly idle = new Set<PrefixNode<S>>();

  constructor(private readonly pool: PagePool) {}

  /** Pages that sequences hold now. */
  get pagesInUse(): number {
    let idlePages = 0;
    for (const node of this.idle) idlePages += node.pages.length;
    return this.pool.numPages - this.pool.freePages - idlePages;
  }

  /** The node of a prompt, made where it is new. Empty runs are skipped. */
  open(runs: readonly Int32Array[]): PrefixNode<S> {
    let node = this.root;
    for (const run of runs) if (run.length > 0) node = this.child(node, run);
    for (const each of lineage(node)) each.handles++;
    return node;
  }

  close(node: PrefixNode<S>): void {
    for (const each of lineage(node)) {
      each.handles--;
      this.prune(each);
    }
  }

  /** Pages that a sequence of `ownTokens` below `node` takes when nothing else is cached. */
  worstCase(node: PrefixNode<S>, ownTokens: number): number {
    return lineage(node).reduce(
      (sum, each) => sum + this.pool.pagesFor(each.tokens.length),
      this.pool.pagesFor(ownTokens),
    );
  }

  /**
   * The sequence's own pages, and pages for each node above that has none; undefined while there
   * are too few.
   */
  admit(node: PrefixNode<S>, ownTokens: number): Int32Array | undefined {
    const above = lineage(node);
    const missing = above.filter((each) => each.pages.length === 0);
    const wanted = missing.reduce(
      (sum, each) => sum + this.pool.pagesFor(each.tokens.length),
      this.pool.pagesFor(ownTokens),
    );
    const kept = above.filter((each) => this.idle.delete(each));
    if (!this.evictUntil(wanted)) {
      for (const each of kept) this.idle.add(each);
      return undefined;
    }
    for (const each of missing) each.pages = this.pool.take(this.pool.pagesFor(each.tokens.length));
    for (const each of above) each.admitted++;
    return this.pool.take(this.pool.pagesFor(ownTokens));
  }

  release(node: PrefixNode<S>, ownPages: Int32Array): void {
    this.pool.give(ownPages);
    for (const each of lineage(node)) {
      each.admitted--;
      if (each.admitted === 0 && each.pages.length > 0) this.idle.add(each);
    }
  }

  /** Drops all that is computed but not in use: the policy has changed. */
  forget(): void {
    this.evictUntil(this.pool.numPages);
  }

  private child(parent: PrefixNode<S>, run: Int32Array): PrefixNode<S> {
    let key = BigInt(Bun.hash(run));
    for (;;) {
      const found = parent.children.get(key);
      if (found === undefined) break;
      if (sameTokens(found.tokens, run)) return found;
      key++; // a collision
    }
    const node = new PrefixNode<S>(parent, key, run.slice());
    parent.children.set(key, node);
    return node;
  }

  private evictUntil(wanted: number): boolean {
    for (const node of this.idle) {
      if (this.pool.freePages >= wanted) break;
      this.idle.delete(node);
      this.pool.give(node.pages);
      node.pages = NO_PAGES;
      node.cached = 0;
      this.prune(node);
    }
    return this.pool.freePages >= wanted;
  }

  private prune(node: PrefixNode<S>): void {
    const empty = node.handles === 0 && node.pages.length === 0 && node.children.size === 0;
    if (empty) node.parent?.children.delete(node.key);
  }
}

/** The node and all above it, the root left out; deepest first. */
export function lineage<S>(node: PrefixNode<S>): PrefixNode<S>[] {
  const nodes: PrefixNode<S>[] = [];
  for (let each = node; each.parent !== null; each = each.parent) nodes.push(each);
  return nodes;
}

function sameTokens(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((token, i) => token === b[i]);
}
