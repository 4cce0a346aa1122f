// One data source: a file or a glob of files of the same format, read into tasks. Filters are
// applied to the raw row, duplicates are dropped as they come, and whatever is dropped is counted.
// Not here: several sources (dataset.ts), whether a question fits a context (train/fit.ts).

import { UserError } from "../config/errors.ts";
import type { Task } from "../types.ts";
import { formatOf, knownColumns } from "./formats/index.ts";
import { RowFault, type RowMeaning, type SourceFormat } from "./formats/format.ts";
import { namedFields, type FieldNames } from "./formats/named-fields.ts";
import { type Field, type NumberedRow, type Row, valueAt } from "./row.ts";
import { openRowFile, type RowFile } from "./row-file.ts";
import { matchingFiles, sourceName, stemOf } from "./source-files.ts";

type Scalar = string | number | boolean;
/** Dotted column names with the value, or one of the values, that a row has there. */
export type Condition = Readonly<Record<string, Scalar | readonly Scalar[]>>;

export interface SourceSpec {
  /** A file or a glob. */
  readonly path: string;
  /** Begins the ids of its tasks; absent: folder and file name. */
  readonly name?: string | undefined;
  /** At most so many tasks, the first ones. */
  readonly limit?: number | undefined;
  readonly where?: Condition | undefined;
  readonly except?: Condition | undefined;
  /** For rows of no known format. */
  readonly fields?: FieldNames | undefined;
  /** Rows that can't be read are dropped and counted; otherwise the first one is an error. */
  readonly skip_bad_rows?: boolean | undefined;
}

export interface LoadedFile {
  readonly path: string;
  readonly kind: RowFile["kind"];
  readonly isGzipped: boolean;
  readonly format: string;
  readonly schema: readonly Field[];
}
export interface SourceCounts {
  readonly rows: number;
  readonly filtered: number;
  readonly duplicates: number;
  /** Rows that ask nothing answerable, by reason, and bad rows where they are skipped. */
  readonly leftOut: Readonly<Record<string, number>>;
}
export interface LoadedSource {
  readonly name: string;
  readonly files: readonly LoadedFile[];
  readonly counts: SourceCounts;
  readonly tasks: readonly Task[];
}

/** Throws UserError naming file and row. */
export async function loadSource(
  spec: SourceSpec,
  name: string = sourceName(spec),
): Promise<LoadedSource> {
  const paths = matchingFiles(spec.path);
  const collector = new Collector(spec, name, paths.length > 1);
  const files: LoadedFile[] = [];
  for (const path of paths) {
    if (collector.isFull) break;
    files.push(await collector.read(await openRowFile(path)));
  }
  const counts = collector.counts();
  if (collector.tasks.length === 0) throw nothingLeft(spec, counts);
  return { name, files, counts, tasks: collector.tasks };
}

function nothingLeft({ path }: SourceSpec, { rows, filtered, leftOut }: SourceCounts): UserError {
  const reasons = Object.entries(leftOut).map(([why, count]) => `${count} ${why}`);
  const all = [...(filtered > 0 ? [`${filtered} filtered`] : []), ...reasons].join(", ");
  return new UserError(`none of ${rows} rows is left: ${all}`, { where: path });
}

/** Takes rows in, file by file, and keeps tasks and counts. */
class Collector {
  readonly tasks: Task[] = [];
  private readonly seen = new Set<bigint>();
  private readonly ids = new Set<string>();
  private readonly leftOut = new Map<string, number>();
  private rows = 0;
  private filtered = 0;
  private duplicates = 0;

  constructor(
    private readonly spec: SourceSpec,
    private readonly name: string,
    private readonly isOneOfMany: boolean,
  ) {}

  get isFull(): boolean {
    return this.spec.limit !== undefined && this.tasks.length >= this.spec.limit;
  }

  async read(file: RowFile): Promise<LoadedFile> {
    let format = this.spec.fields === undefined ? undefined : namedFields(this.spec.fields);
    let first: Row | undefined;
    for await (const batch of file.batches(this.columns(format))) {
      if (batch[0] === undefined) continue;
      first ??= batch[0].row;
      format ??= formatOf(batch[0].row, file.place(batch[0].number));
      for (const numbered of batch) if (!this.isFull) this.take(numbered, format, file);
      if (this.isFull) break;
    }
    if (format === undefined || first === undefined) {
      throw new UserError("the file holds no rows", { where: file.path });
    }
    const { path, kind, isGzipped } = file;
    return {
      path,
      kind,
      isGzipped,
      format: format.name,
      schema: file.schema ?? schemaOf(first),
    };
  }

  counts(): SourceCounts {
    const { rows, filtered, duplicates } = this;
    return {
      rows,
      filtered,
      duplicates,
      leftOut: Object.fromEntries(this.leftOut),
    };
  }

  /** Conditions may ask for columns that no format reads. */
  private columns(format: SourceFormat | undefined): readonly string[] {
    const asked = Object.keys({ ...this.spec.where, ...this.spec.except });
    const roots = asked.flatMap((name) => [name, name.split(".")[0]!]);
    return [...(format?.columns ?? knownColumns), ...roots];
  }

  private take({ row, number }: NumberedRow, format: SourceFormat, file: RowFile): void {
    this.rows++;
    const { where = {}, except } = this.spec;
    if (!holds(where, row, true) || (except !== undefined && holds(except, row, false))) {
      this.filtered++;
      return;
    }
    const meaning = this.meaningOf(row, format, () => file.place(number));
    if (meaning.kind === "left_out") return this.count(meaning.why);
    const key = contentKey(meaning.question, meaning.golds);
    if (this.seen.has(key)) {
      this.duplicates++;
      return;
    }
    this.seen.add(key);
    const id = this.uniqueId(meaning.id, file, number);
    const meta = { source: this.name, ...definedOnly(meaning.meta) };
    const { question, golds, tests } = meaning;
    this.tasks.push({ id, question, golds, ...(tests !== undefined && { tests }), meta });
  }

  private meaningOf(row: Row, format: SourceFormat, where: () => string): RowMeaning {
    try {
      return format.read(row);
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      if (this.spec.skip_bad_rows === true) return { kind: "left_out", why: "bad row" };
      const hint = `a ${format.name} row is ${format.shape}; skip_bad_rows: true drops such rows`;
      throw new UserError(error.message, { where: where(), hint });
    }
  }

  private count(why: string): void {
    this.leftOut.set(why, (this.leftOut.get(why) ?? 0) + 1);
  }

  /** The row's own id where it has one, else its number; both only where that is not unique. */
  private uniqueId(own: string | undefined, file: RowFile, number: number): string {
    const place = this.isOneOfMany ? `${stemOf(file.path)}:${number}` : String(number);
    const ordinal = `${place}/${this.tasks.length}`; // files of two folders may share a name
    const wanted = own === undefined ? [place, ordinal] : [own, `${own}@${place}`, ordinal];
    const id = wanted.find((each) => !this.ids.has(each))!;
    this.ids.add(id);
    return `${this.name}/${id}`;
  }
}

/** `all`: every condition has to hold; otherwise one that does is enough. */
function holds(condition: Condition, row: Row, all: boolean): boolean {
  const each = ([name, wanted]: [string, Scalar | readonly Scalar[]]): boolean => {
    const value = valueAt(row, name);
    const one = (it: Scalar): boolean => String(it) === String(value);
    return Array.isArray(wanted) ? wanted.some(one) : one(wanted as Scalar);
  };
  const entries = Object.entries(condition);
  return all ? entries.every(each) : entries.some(each);
}

/** 64 bits of question and answers: the texts themselves need not be kept to know them again. */
export function contentKey(question: string, golds: readonly string[]): bigint {
  const words = [question, ...golds.toSorted()].map((text) => text.replace(/\s+/g, " "));
  return BigInt(Bun.hash(words.join("\0")));
}

function definedOnly(
  meta: Readonly<Record<string, string | number | undefined>> = {},
): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(meta).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

/** Of rows without a schema, what the first one shows. */
function schemaOf(row: Row): Field[] {
  return Object.entries(row).map(([name, value]) => ({
    name,
    type: typeOf(value),
  }));
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "list" : `list<${typeOf(value[0])}>`;
  if (typeof value !== "object") return typeof value;
  const fields = Object.entries(value).map(([name, each]) => `${name}: ${typeOf(each)}`);
  return `{${fields.join(", ")}}`;
}
