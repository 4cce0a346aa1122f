// Chat templates as transformers renders them, with @huggingface/jinja's parser and interpreter.
// Here is only what that port does unlike Python's jinja2: what `strip` and `trim` take away, how
// True, None, 1.0, lists and dictionaries are printed (python-text.ts). Templates are foreign code:
// `range` is bounded as in jinja2's sandbox, and the date is fixed, since a prompt must not change
// overnight.

import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { type JsonOptions, printed, stripped, toJson } from "./python-text.ts";

type Value = ReturnType<Interpreter["run"]>;
/** A node of the syntax tree, of which only the fields of its type are there. */
interface Node {
  readonly type: string;
  readonly callee?: Node;
  readonly args?: readonly Node[];
  readonly object?: Node;
  readonly property?: Node;
  readonly computed?: boolean;
  readonly operand?: Node;
  readonly filter?: Node;
  readonly left?: Node;
  readonly right?: Node;
  readonly operator?: { readonly value: string };
  readonly value?: unknown;
}

/** What Llama's templates name where no date is given. */
const TODAY = new Date(Date.UTC(2024, 6, 26));
const MAX_RANGE = 100_000;
const STRIPS = { strip: [true, true], lstrip: [true, false], rstrip: [false, true] } as const;

/** Parses once; the result renders any number of times. Throws Error for what is no template. */
export function compileTemplate(text: string): (variables: Record<string, unknown>) => string {
  const program = parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  printAsPython(program);
  return (variables) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables }))
      environment.set(name, value);
    return String(new PythonInterpreter(environment).run(program).value);
  };
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range: boundedRange,
  strftime_now: strftime,
  raise_exception: (message: string) => {
    throw new Error(message);
  },
};

/** An expression that stands where text is printed becomes a node of this type around it. */
const PRINTED = "PrintedAsPython";

/** Statements print nothing by themselves; every other node of a body is printed. */
const SILENT = ["If", "For", "Set", "Macro", "Comment", "Break", "Continue", "CallStatement"];
const BODIES = ["body", "alternate", "defaultBlock"] as const;

/** Wraps what the bodies of `node` print, in place. */
function printAsPython(node: unknown): void {
  const statement = node as Partial<Record<(typeof BODIES)[number], Node[]>>;
  for (const key of BODIES) {
    const body = statement[key];
    if (!Array.isArray(body)) continue;
    body.forEach((each, index) => {
      printAsPython(each);
      const quiet = SILENT.includes(each.type) || each.type === "FilterStatement";
      if (!quiet && each.type !== "StringLiteral") body[index] = { type: PRINTED, operand: each };
    });
  }
}

class PythonInterpreter extends Interpreter {
  override evaluate(statement: never, environment: Environment): Value {
    const node = statement as Node | undefined;
    const value = (of: Node | undefined): Value => this.evaluate(of as never, environment);
    if (node?.type === PRINTED) return text(printed(value(node.operand)));
    if (node?.type === "BinaryExpression" && node.operator?.value === "~")
      return text(printed(value(node.left)) + printed(value(node.right)));
    return (
      this.strip(node, value) ?? this.filter(node, value) ?? super.evaluate(statement, environment)
    );
  }

  /** `x.strip(chars)` and its kin, of a string. */
  private strip(node: Node | undefined, value: (of: Node | undefined) => Value): Value | undefined {
    const { callee, args = [] } = node ?? {};
    if (node?.type !== "CallExpression" || callee?.type !== "MemberExpression") return undefined;
    const method = callee.computed === true ? undefined : callee.property?.value;
    if (typeof method !== "string" || !Object.hasOwn(STRIPS, method)) return undefined;
    const subject = value(callee.object);
    if (subject.type !== "StringValue") return undefined;
    const chars = args.length === 0 ? null : (value(args[0]).value as string | null);
    const [start, end] = STRIPS[method as keyof typeof STRIPS];
    return text(stripped(subject.value as string, chars, start, end));
  }

  /** The filters that print: trim, string, join, tojson. */
  private filter(
    node: Node | undefined,
    value: (of: Node | undefined) => Value,
  ): Value | undefined {
    if (node?.type !== "FilterExpression") return undefined;
    const { filter } = node;
    const name = (filter?.type === "CallExpression" ? filter.callee : filter)?.value;
    const options = filterOptions(filter?.args ?? [], value);
    const first = (key: string): unknown => options.positional[0] ?? options.named[key];
    switch (name) {
      case "trim":
        return text(stripped(printed(value(node.operand)), asText(first("chars")), true, true));
      case "string":
        return text(printed(value(node.operand)));
      case "tojson":
        return text(toJson(value(node.operand), jsonOptions(options)));
      case "join": {
        const subject = value(node.operand);
        if (!isList(subject) || options.named["attribute"] !== undefined) return undefined;
        return text(subject.value.map(printed).join(asText(first("d")) ?? ""));
      }
      default:
        return undefined;
    }
  }
}

interface FilterOptions {
  readonly positional: readonly unknown[];
  readonly named: Readonly<Record<string, unknown>>;
}

function filterOptions(
  args: readonly Node[],
  value: (of: Node | undefined) => Value,
): FilterOptions {
  const named = args.filter(({ type }) => type === "KeywordArgumentExpression") as unknown as {
    readonly key: { readonly value: string };
    readonly value: Node;
  }[];
  return {
    positional: args
      .filter(({ type }) => type !== "KeywordArgumentExpression")
      .map((each) => plain(value(each))),
    named: Object.fromEntries(named.map((each) => [each.key.value, plain(value(each.value))])),
  };
}

const plain = (value: Value): unknown => (isList(value) ? value.value.map(plain) : value.value);
const asText = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** A runtime value: the port exports no classes of them, but makes them. */
const text = (value: string): Value => new Environment().set("text", value);

function isList(value: Value): value is Extract<Value, { value: Value[] }> {
  return Array.isArray(value.value);
}

function jsonOptions({ positional, named }: FilterOptions): JsonOptions {
  // In the order of transformers' own filter.
  const [ensureAscii, indentAt, separatorsAt, sortKeys] = positional;
  const indent = indentAt ?? named["indent"] ?? null;
  const separators = separatorsAt ?? named["separators"];
  return {
    indent: typeof indent === "number" ? indent : null,
    ensureAscii: (ensureAscii ?? named["ensure_ascii"]) === true,
    separators: Array.isArray(separators)
      ? (separators as [string, string])
      : [indent === null ? ", " : ",", ": "],
    sortKeys: (sortKeys ?? named["sort_keys"]) === true,
  };
}

function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [first, last] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error("range() step must not be zero");
  const length = Math.max(0, Math.ceil((last - first) / step));
  if (length > MAX_RANGE) throw new Error(`range() of ${length} numbers, more than ${MAX_RANGE}`);
  return Array.from({ length }, (_, index) => first + index * step);
}

function strftime(format: string): string {
  const pad = (value: number): string => String(value).padStart(2, "0");
  const month = (style: "short" | "long"): string =>
    TODAY.toLocaleString("en", { month: style, timeZone: "UTC" });
  const fields: Readonly<Record<string, string>> = {
    Y: String(TODAY.getUTCFullYear()),
    m: pad(TODAY.getUTCMonth() + 1),
    d: pad(TODAY.getUTCDate()),
    b: month("short"),
    B: month("long"),
    H: "00",
    M: "00",
    S: "00",
    "%": "%",
  };
  return format.replace(/%([YmdbBHMS%])/g, (_, field: string) => fields[field]!);
}
