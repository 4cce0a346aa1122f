// Values of a template as Python writes them: str(), repr(), json.dumps() and str.strip(). Not the
// template language: jinja.ts. Known difference: a number that came in from JavaScript as 1.0 is
// the integer 1, since JavaScript cannot tell, and keys that look like integers come first in an
// object.

/** A value of @huggingface/jinja's interpreter, which exports no type of it. */
export interface TemplateValue {
  readonly type: string;
  /** By type: a primitive, an array of values, a Map of values. */
  readonly value: unknown;
}

const PYTHON_SPACE =
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007" +
  "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000";

/** As Python's str(). */
export function printed(value: TemplateValue): string {
  if (value.type === "UndefinedValue") return "";
  return value.type === "StringValue" ? (value.value as string) : repr(value);
}

function repr(value: TemplateValue): string {
  const { type, value: raw } = value;
  if (type === "StringValue") return reprText(raw as string);
  if (type === "NullValue") return "None";
  if (type === "UndefinedValue") return "Undefined";
  if (type === "BooleanValue") return raw === true ? "True" : "False";
  if (type === "FloatValue") return reprFloat(raw as number);
  if (type === "TupleValue") return reprTuple((raw as TemplateValue[]).map(repr));
  if (Array.isArray(raw)) return `[${(raw as TemplateValue[]).map(repr).join(", ")}]`;
  if (raw instanceof Map) {
    const entries = [...(raw as Map<string, TemplateValue>)];
    return `{${entries.map(([key, each]) => `${reprText(key)}: ${repr(each)}`).join(", ")}}`;
  }
  return String(raw);
}

const reprTuple = (items: readonly string[]): string =>
  items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;

function reprText(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (char) => {
    if (char === "'" || char === '"') return char === quote ? `\\${char}` : char;
    return char === "\\" ? "\\\\" : escapeChar(char);
  });
  return quote + escaped + quote;
}

function escapeChar(char: string): string {
  const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  const code = char.codePointAt(0)!;
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return named[char] ?? `\\${letter}${code.toString(16).padStart(Number(digits), "0")}`;
}

/** Python's shortest form: the digits of JavaScript's, the exponent from 1e16 and below 1e-4. */
function reprFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits = "", exponent = ""] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 16) {
    const fixed =
      power < 0 ? value.toFixed(digits.replace(/\D/g, "").length - 1 - power) : `${value}`;
    return fixed.includes(".") ? fixed : `${fixed}.0`;
  }
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

export interface JsonOptions {
  readonly indent: number | null;
  readonly ensureAscii: boolean;
  readonly separators: readonly [string, string];
  readonly sortKeys: boolean;
}

export function toJson(value: TemplateValue, options: JsonOptions, depth = 0): string {
  const { type, value: raw } = value;
  const inner = (each: TemplateValue): string => toJson(each, options, depth + 1);
  if (type === "StringValue") return jsonText(raw as string, options);
  if (type === "FloatValue") return reprFloat(raw as number);
  if (Array.isArray(raw))
    return enclosed("[", (raw as TemplateValue[]).map(inner), "]", options, depth);
  if (!(raw instanceof Map)) {
    if (type === "NullValue") return "null";
    if (typeof raw === "boolean" || typeof raw === "number") return JSON.stringify(raw);
    throw new Error(`a value of type ${type} has no JSON`);
  }
  const entries = [...(raw as Map<string, TemplateValue>)];
  if (options.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const members = entries.map(
    ([key, each]) => `${jsonText(key, options)}${options.separators[1]}${inner(each)}`,
  );
  return enclosed("{", members, "}", options, depth);
}

function enclosed(
  open: string,
  items: readonly string[],
  close: string,
  { indent, separators }: JsonOptions,
  depth: number,
): string {
  if (items.length === 0 || indent === null) return open + items.join(separators[0]) + close;
  const line = (level: number): string => `\n${" ".repeat(indent * level)}`;
  return open + line(depth + 1) + items.join(separators[0] + line(depth + 1)) + line(depth) + close;
}

function jsonText(value: string, { ensureAscii }: JsonOptions): string {
  const json = JSON.stringify(value);
  if (!ensureAscii) return json;
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return json.replace(/[\x7f-\uffff]/g, escape);
}

/** `chars` null: white space. */
export function stripped(
  value: string,
  chars: string | null,
  start: boolean,
  end: boolean,
): string {
  const all = [...value];
  const goes = (char: string): boolean => (chars ?? PYTHON_SPACE).includes(char);
  let [from, to] = [0, all.length];
  while (start && from < to && goes(all[from]!)) from++;
  while (end && to > from && goes(all[to - 1]!)) to--;
  return all.slice(from, to).join("");
}
