// A measured figure as data, and as a row of a table. Not here: how it was measured.

export type Unit = "s" | "ms" | "nat" | "share" | "tok/s" | "GFLOP/s" | "GB/s" | "x" | "%" | "exponent";

/** What the figure is compared with, measured in the same run. */
export interface Opponent {
  readonly name: string;
  readonly value: number;
  readonly peakBytes?: number | undefined;
}

export interface Figure {
  readonly key: string; // "update.trie": stays the same from run to run
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  readonly other?: Opponent | undefined;
  /** How many times better than the opponent; a median of pairs where they took turns. */
  readonly ratio?: number | undefined;
  readonly wanted?: Wanted | undefined;
  readonly peakBytes?: number | undefined; // resident, of the process that measured it
  readonly note?: string | undefined;
}

export interface Wanted {
  readonly of: "value" | "ratio";
  readonly bound: number;
  readonly is: "at least" | "at most";
}

export const valueAtLeast = (bound: number): Wanted => ({ of: "value", bound, is: "at least" });
export const valueAtMost = (bound: number): Wanted => ({ of: "value", bound, is: "at most" });
export const ratioAtLeast = (bound: number): Wanted => ({ of: "ratio", bound, is: "at least" });

/** undefined where nothing is wanted, or nothing to compare with was measured. */
export function isReached({ value, ratio, wanted }: Figure): boolean | undefined {
  const found = wanted?.of === "ratio" ? ratio : value;
  if (wanted === undefined || found === undefined) return undefined;
  return wanted.is === "at least" ? found >= wanted.bound : found <= wanted.bound;
}

export const HEADINGS = ["figure", "icrl", "against", "ratio", "wanted", "peak resident", "how"];

export function cells(figure: Figure): readonly string[] {
  const { what, value, unit, other, ratio, peakBytes, note } = figure;
  const peaks = [peakBytes, other?.peakBytes].flatMap((each) => (each ? [bytesText(each)] : []));
  return [
    what,
    amount(value, unit),
    other === undefined ? "" : `${amount(other.value, unit)} ${other.name}`,
    ratio === undefined ? "" : `${short(ratio)}x`,
    wantedText(figure),
    peaks.join(" / "),
    note ?? "",
  ];
}

function wantedText(figure: Figure): string {
  const { wanted, unit } = figure;
  if (wanted === undefined) return "";
  const bound = wanted.of === "ratio" ? `${wanted.bound}x` : amount(wanted.bound, unit);
  const sign = wanted.is === "at least" ? ">=" : "<=";
  const reached = isReached(figure);
  const verdict = reached === undefined ? "not compared" : reached ? "reached" : "missed";
  return `${sign} ${bound}: ${verdict}`;
}

export function amount(value: number, unit: Unit): string {
  if (unit === "%") return `${(100 * value).toFixed(0)} %`;
  if (unit === "x") return `${short(value)}x`;
  if (unit === "exponent") return value.toFixed(2);
  return `${short(value)} ${unit}`;
}

/** Three digits, or all before the point. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(digits);
}

function bytesText(bytes: number): string {
  const mib = bytes / 2 ** 20;
  return mib < 1024 ? `${mib.toFixed(0)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}
