// One source of recipe values (a YAML text or one `--set key=value`) that can say where a value
// came from. Layers are merged in order, later ones winning; maps merge, lists and scalars replace.

import { isNode, LineCounter, parseDocument, type Document, type YAMLError } from "yaml";
import { UserError } from "./errors.ts";

export type Path = readonly (string | number)[];

/** Plain data with the places of its nodes; undefined for a path that this layer does not set. */
export interface Layer {
  readonly value: unknown;
  place(path: Path): string | undefined;
}

/** Parses one YAML text. Throws UserError with line and column. */
export function yamlLayer(text: string, file: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const broken = document.errors[0] ?? document.warnings[0];
  if (broken !== undefined) throw syntaxError(broken, at);
  return {
    value: document.toJS() ?? {},
    place: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? undefined : at(offset);
    },
  };
}

/** `train.learning_rate=1e-3`; the value is YAML, list entries count from 0: `stages.0.steps=5`. */
export function overrideLayer(setting: string, base: unknown): Layer {
  const where = `--set ${setting}`;
  const equals = setting.indexOf("=");
  if (equals < 1) {
    const hint = "write --set train.learning_rate=1e-3";
    throw new UserError("an override is key=value", { where, hint, exitCode: 2 });
  }
  const path = setting.slice(0, equals).trim().split(".");
  const text = setting.slice(equals + 1).trim();
  const given = /^(null|~)?$/.test(text) ? null : yamlLayer(text, where).value;
  return {
    value: withValue(base, path, given, where),
    place: (asked) => (overlaps(asked, path) ? where : undefined),
  };
}

/** Maps merge key by key; anything else in `over` replaces what is below. */
export function merged(under: unknown, over: unknown): unknown {
  if (!isMap(under) || !isMap(over)) return over;
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    result[key] = Object.hasOwn(under, key) ? merged(under[key], value) : value;
  }
  return result;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy of `base` with the value at the path. Missing maps are made; list entries must exist. */
function withValue(base: unknown, path: readonly string[], value: unknown, where: string): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (!Array.isArray(base)) {
    const map = isMap(base) ? base : {};
    const below = Object.hasOwn(map, key) ? map[key] : undefined;
    return { ...map, [key]: withValue(below, rest, value, where) };
  }
  if (!/^\d+$/.test(key) || Number(key) >= base.length) {
    const hint = `entries are 0 to ${base.length - 1}`;
    throw new UserError(`no list entry "${key}"`, { where, hint });
  }
  return base.with(Number(key), withValue(base[Number(key)], rest, value, where));
}

/** One path leads to or through the other. */
function overlaps(asked: Path, own: readonly string[]): boolean {
  const shared = Math.min(asked.length, own.length);
  return shared > 0 && own.slice(0, shared).every((key, index) => key === String(asked[index]));
}

/** Where the key (of a map) or item (of a list) at the path starts; undefined when it is absent. */
function offsetOf(document: Document.Parsed, path: Path): number | undefined {
  if (path.length === 0) return rangeStart(document.contents);
  const parent = document.getIn(path.slice(0, -1), true);
  const last = path[path.length - 1];
  const pairs = isNode(parent) && "items" in parent ? parent.items : [];
  for (const item of pairs as readonly { readonly key?: unknown }[]) {
    const key = item.key as { readonly value?: unknown } | undefined;
    if (key !== undefined && key.value === last) return rangeStart(key);
  }
  return rangeStart(document.getIn(path, true));
}

function rangeStart(node: unknown): number | undefined {
  const range = (node as { readonly range?: readonly number[] | null } | null | undefined)?.range;
  return range?.[0];
}

function syntaxError(error: YAMLError, at: (offset: number) => string): UserError {
  return new UserError(error.message.split("\n")[0] ?? "not YAML", { where: at(error.pos[0]) });
}
