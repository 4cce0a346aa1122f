import { expect, test } from "bun:test";
import { PagePool, PrefixTrie } from "../../src/rollout/blocks.ts";
import { uniform } from "../helpers/engine.ts";

const run = (...tokens: number[]): Int32Array => Int32Array.from(tokens);
const ints = (count: number, from = 0): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => from + i);

function open(numPages = 10, pageTokens = 4) {
  const pool = new PagePool(numPages, pageTokens);
  return { pool, trie: new PrefixTrie<string>(pool) };
}

test("equal runs below equal runs are one node, others are not", () => {
  const { trie } = open();
  const node = trie.open([run(1, 2), run(3)]);
  expect(trie.open([run(1, 2), run(3)])).toBe(node);
  expect(trie.open([run(1, 2), run(), run(3)])).toBe(node);
  expect(trie.open([run(1), run(2, 3)])).not.toBe(node);
  expect(trie.open([run(3)])).not.toBe(node);
  expect(node.start).toBe(2);
});

test("a shared run takes its pages once, each sequence its own", () => {
  const { pool, trie } = open();
  const node = trie.open([ints(5)]);
  expect(trie.admit(node, 3)).toHaveLength(1);
  expect(pool.freePages).toBe(10 - 2 - 1);
  expect(trie.admit(node, 9)).toHaveLength(3);
  expect(pool.freePages).toBe(10 - 2 - 1 - 3);
});

test("a page has one owner", () => {
  const { trie } = open();
  const node = trie.open([ints(5)]);
  const pages = [
    ...node.pages,
    ...[3, 4, 8].flatMap((tokens) => [...trie.admit(node, tokens)!]),
    ...node.pages,
  ];
  expect(new Set(pages).size).toBe(1 + 1 + 2 + 2);
});

test("a sequence that does not fit waits, and takes nothing meanwhile", () => {
  const { pool, trie } = open(4);
  const first = trie.open([ints(4)]);
  const own = trie.admit(first, 8)!;
  const second = trie.open([ints(4, 100)]);
  expect(trie.admit(second, 4)).toBeUndefined();
  expect(pool.freePages).toBe(1);
  trie.release(first, own);
  expect(trie.admit(second, 4)).toHaveLength(1);
});

test("a run without sequences keeps its pages until they are needed, then the oldest goes", () => {
  const { pool, trie } = open(4);
  const nodes = [0, 100, 200].map((from) => trie.open([ints(4, from)]));
  for (const node of nodes) {
    const own = trie.admit(node, 1)!;
    node.cached = 4;
    trie.release(node, own);
  }
  expect(trie.pagesInUse).toBe(0);
  expect(pool.freePages).toBe(1);
  expect(trie.admit(trie.open([ints(4, 300)]), 1)).toBeDefined();
  expect(nodes.map(({ cached }) => cached)).toEqual([0, 4, 4]);
});

test("a run comes back as it was when it is asked for before its pages are", () => {
  const { trie } = open();
  const node = trie.open([ints(4)]);
  trie.release(node, trie.admit(node, 1)!);
  node.cached = 4;
  trie.close(node);
  expect(trie.open([ints(4)])).toBe(node);
  expect(node.cached).toBe(4);
});

test("forgetting frees all that is not in use, and closed nodes leave the trie", () => {
  const { pool, trie } = open();
  const node = trie.open([ints(4), ints(4)]);
  trie.release(node, trie.admit(node, 1)!);
  trie.close(node);
  trie.forget();
  expect(pool.freePages).toBe(10);
  expect(trie.root.children.size).toBe(0);
});

test("no page is lost over random use, and what fits an empty cache gets in in the end", () => {
  const { pool, trie } = open(12);
  const random = uniform(5);
  const below = (count: number): number => Math.floor(random() * count);
  let held: { node: ReturnType<typeof trie.open>; own: Int32Array }[] = [];
  for (let i = 0; i < 2000; i++) {
    const node = trie.open([ints(1 + below(9), 100 * below(4)), ints(1 + below(9), 7 * below(3))]);
    const tokens = 1 + below(12);
    let own = trie.admit(node, tokens);
    while (own === undefined) {
      for (const each of held) {
        trie.release(each.node, each.own);
        trie.close(each.node);
      }
      expect(trie.pagesInUse).toBe(0);
      expect(held.length).toBeGreaterThan(0);
      held = [];
      own = trie.admit(node, tokens);
    }
    held.push({ node, own });
    const pages = held.flatMap((each) => [...each.own]);
    expect(new Set(pages).size).toBe(pages.length);
  }
  for (const each of held) trie.release(each.node, each.own);
  trie.forget();
  expect(pool.freePages).toBe(12);
});
