// Names that mean nothing: one capitalised word of two or three syllables, such as "Velmor" or
// "Tasurik". The almanac and the pretraining documents draw from the same syllables and never share
// a name.

import type { Random } from "./random.ts";

const SYLLABLES = (
  "bal ber bin bor dal den dir dov fal fen fir gar gel gor hal hem hir jar jen kal kel kir kor " +
  "lan len lir lom lun mar mel mir mon nal ner nim nor pal pel pir ral ren rin rov sal sen sil " +
  "sor tal ter tir tov ul vak vel vin vor wen wil yar yel zan zel zir zor"
).split(" ");

/** A capitalised name; half have two syllables, half three. About 280,000 are possible. */
export function randomName(random: Random): string {
  const count = random.chance(0.5) ? 2 : 3;
  let name = "";
  for (let i = 0; i < count; i++) name += random.pick(SYLLABLES);
  return name[0]?.toUpperCase() + name.slice(1);
}

/** Draws names that are in no given set and never repeats one. */
export class FreshNames {
  private readonly used = new Set<string>();

  constructor(
    private readonly random: Random,
    private readonly taken: ReadonlySet<string> = new Set(),
  ) {}

  next(): string {
    for (;;) {
      const name = randomName(this.random);
      if (this.used.has(name) || this.taken.has(name)) continue;
      this.used.add(name);
      return name;
    }
  }
}
