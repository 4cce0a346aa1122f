// Memory of NVIDIA cards as a process sees it (CUDA's total: less than the name says), so that a run
// can be planned for a card that is not here. As their users report it, good to about a hundredth;
// a card that is there says its own.

import { suggestion, UserError } from "../../config/errors.ts";

const MIB = 2 ** 20;

const CARDS: Readonly<Record<string, number>> = {
  a100: 81_050 * MIB, // 80 GB
  "a100-40gb": 40_330 * MIB,
  b200: 182_640 * MIB,
  h100: 81_000 * MIB, // 80 GB
  h200: 143_160 * MIB,
  l4: 22_560 * MIB,
  l40s: 45_480 * MIB,
  rtx3090: 24_120 * MIB,
  rtx4090: 24_080 * MIB,
  rtx5090: 32_100 * MIB,
};

/** Throws UserError where the name is none of them. */
export function cardBytes(name: string): number {
  const bytes = CARDS[name.toLowerCase()];
  if (bytes !== undefined) return bytes;
  const names = Object.keys(CARDS);
  const hint = `${suggestion(name, names)}; or --memory with an amount`;
  throw new UserError(`there is no card "${name}" here`, { where: "--card", hint, exitCode: 2 });
}
