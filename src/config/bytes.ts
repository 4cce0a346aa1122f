// Bytes as people write and read them. Pure.

import { UserError } from "./errors.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** "24GiB", "1.5 TiB", "512 MiB"; a plain number counts bytes. */
export const BYTES_PATTERN = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)?$/;

export function parseBytes(text: number | string, where?: string): number {
  const [, value, unit = "B"] = BYTES_PATTERN.exec(String(text)) ?? [];
  const power = UNITS.findIndex((each) => each === unit);
  const bytes = Math.floor(Number(value) * 1024 ** power);
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new UserError(`"${text}" is no amount of memory`, { where, hint: "such as 24GiB" });
}

/** "812 B", "3.4 MiB", "24.0 GiB". */
export function bytesText(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
