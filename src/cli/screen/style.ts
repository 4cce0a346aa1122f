// Colours by meaning, and numbers as people read them. Pure: a style either paints or returns the
// text as it is.

export type Ink =
  | "prompt"
  | "policy"
  | "thought"
  | "call"
  | "answer"
  | "observation"
  | "good"
  | "bad"
  | "strong"
  | "faint"
  | "em"
  | "reward";
export type Style = (text: string, ink: Ink) => string;

const CODES: Readonly<Record<Ink, string>> = {
  prompt: "2",
  policy: "36",
  thought: "36",
  call: "35",
  answer: "32",
  observation: "33",
  good: "32",
  bad: "31",
  strong: "1",
  faint: "2",
  em: "32",
  reward: "35",
};

export const plainStyle: Style = (text) => text;
export const colourStyle: Style = (text, ink) =>
  text === "" ? "" : `\x1b[${CODES[ink]}m${text}\x1b[0m`;

/** Cells that the text takes in a terminal; control codes take none. */
export const cells = (text: string): number => Bun.stringWidth(text);

export const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - cells(text)));
export const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - cells(text))) + text;

/**
 * The text of a policy or a tool, made harmless: control characters, and those that turn the
 * writing direction, become visible; only line ends stay.
 */
export function harmless(text: string): string {
  return text
    .replaceAll("\t", "  ")
    .replaceAll(/(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

/** "0.53"; "-" where there is no figure. */
export function share(value: number | undefined, digits = 2): string {
  return value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);
}

/** "42 s", "3m07s", "2h05m". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [minutes, hours] = [Math.floor(whole / 60), Math.floor(whole / 3600)];
  if (hours === 0) return `${minutes}m${pair(whole % 60)}s`;
  return `${hours}h${pair(minutes % 60)}m`;
}

const pair = (value: number): string => String(value).padStart(2, "0");

/** "950", "12.3k", "4.5M". */
export function count(value: number): string {
  if (value < 1000) return value.toFixed(0);
  return value < 1e6 ? `${(value / 1e3).toFixed(1)}k` : `${(value / 1e6).toFixed(1)}M`;
}

/** "1 shot", "2 shots". */
export const plural = (value: number, noun: string): string =>
  `${value} ${noun}${value === 1 ? "" : "s"}`;
