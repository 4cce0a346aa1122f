// The generator behind everything that is made from a seed: xoshiro128** (Blackman and Vigna,
// 2018), its state filled by SplitMix32 from a number and a name. It is not for sampling tokens
// (the engine has counter-based noise for that) and not for secrets. Not one draw depends on the
// platform: 32-bit integer arithmetic only.

const rotateLeft = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

/** FNV-1a of the name, so that streams of one seed differ by what they are for. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function splitMix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
}

/** A stream of pseudo-random draws. Equal (seed, name) give equal streams. */
export class Random {
  private readonly state = new Int32Array(4);

  constructor(seed: number, name = "") {
    const next = splitMix32(seed ^ hashName(name));
    for (let i = 0; i < 4; i++) this.state[i] = next();
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const [a, b, c, d] = this.state as unknown as [number, number, number, number];
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
    const c1 = c ^ a;
    const d1 = d ^ b;
    this.state[1] = b ^ c1;
    this.state[0] = a ^ d1;
    this.state[2] = c1 ^ (b << 9);
    this.state[3] = rotateLeft(d1, 11);
    return result >>> 0;
  }

  /** A uniform number in [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /**
   * A uniform integer in [0, bound); bound is small, so the bias of the multiplication is below
   * 1e-6.
   */
  integer(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("nothing to pick from");
    return list[this.integer(list.length)] as T;
  }

  /** One of the values, each with the probability its weight has of the sum. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.float() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) if ((left -= weight) < 0) return value;
    return (choices.at(-1) as readonly [number, T])[1];
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }
}
