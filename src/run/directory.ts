// runs/<name>/: one run on the disk. recipe.yaml (frozen), run.sqlite, checkpoints/<name>/ (Hugging
// Face folders). Nothing is ever overwritten. One process writes at a time (the file `writer` names
// it); any number read. The writer's mark is a process id, so it guards one machine only.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { UserError } from "../config/errors.ts";
import { writeFolderAtomic } from "./atomic.ts";
import { RunReader } from "./reader.ts";
import { RunStore } from "./store.ts";

const RECIPE = "recipe.yaml";
const STORE = "run.sqlite";
const CHECKPOINTS = "checkpoints";
const WRITER = "writer";

/** A run to read. */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
    if (!isRun(this.path))
      throw new UserError("there is no run here", { where: path, hint: `it has no ${RECIPE}` });
  }
  get name(): string {
    return basename(this.path);
  }
  recipeText(): string {
    return readFileSync(join(this.path, RECIPE), "utf8");
  }
  openReader(): RunReader {
    return RunReader.open(join(this.path, STORE));
  }
  /** Names of the whole checkpoints, "stage1" and so on, sorted. */
  checkpoints(): string[] {
    const names = readdirSync(join(this.path, CHECKPOINTS)).filter((name) => !name.startsWith("."));
    return names.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }
  /** The folder of a checkpoint that exists. */
  checkpointPath(name: string): string {
    if (this.checkpoints().includes(name)) return join(this.path, CHECKPOINTS, name);
    throw new UserError(`the run has no checkpoint "${name}"`, {
      where: this.path,
      hint: `it has: ${this.checkpoints().join(", ") || "none yet"}`,
    });
  }
}

/** A run to write. Close it: the mark of the writer and the store's connection go with it. */
export class RunDirectory extends RunFolder {
  readonly store: RunStore;

  private constructor(path: string) {
    super(path);
    markWriter(this.path);
    this.store = RunStore.open(join(this.path, STORE));
  }

  /** A new run with its frozen recipe. `path` is absent or an empty folder. */
  static create(path: string, recipeText: string): RunDirectory {
    requireFreePath(path);
    mkdirSync(resolve(path, ".."), { recursive: true });
    writeFolderAtomic(resolve(path), (folder) => {
      mkdirSync(join(folder, CHECKPOINTS));
      RunStore.create(join(folder, STORE))[Symbol.dispose]();
      writeFileSync(join(folder, RECIPE), recipeText);
      chmodSync(join(folder, RECIPE), 0o444);
    });
    return new RunDirectory(path);
  }

  /** An existing run, to be continued. */
  static open(path: string): RunDirectory {
    return new RunDirectory(path);
  }

  /** `write` fills an empty folder, which then becomes checkpoints/<name>. Returns its path. */
  writeCheckpoint(name: string, write: (folder: string) => void): string {
    const path = join(this.path, CHECKPOINTS, name);
    if (existsSync(path))
      throw new UserError(`the checkpoint "${name}" exists already`, { where: path });
    writeFolderAtomic(path, write);
    return path;
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
    rmSync(join(this.path, WRITER), { force: true });
  }
}

/** Throws UserError unless a new run can be there: nothing, or an empty folder. */
export function requireFreePath(path: string): void {
  if (existsSync(path) && !isEmptyFolder(path))
    throw new UserError("this run exists already", alreadyThere(path));
}

/** The first of root/name, root/name-2, root/name-3, ... that does not exist. */
export function freshRunPath(root: string, name: string): string {
  for (let number = 1; ; number++) {
    const path = join(root, number === 1 ? name : `${name}-${number}`);
    if (!existsSync(path)) return path;
  }
}

/** "runs/nano@stage2" to its folder and checkpoint name; the name is undefined without "@". */
export function splitRunSpec(spec: string): {
  readonly path: string;
  readonly checkpoint: string | undefined;
} {
  const at = spec.lastIndexOf("@");
  if (at < 0) return { path: spec, checkpoint: undefined };
  return { path: spec.slice(0, at), checkpoint: spec.slice(at + 1) };
}

export function isRun(path: string): boolean {
  return existsSync(join(path, RECIPE)) && existsSync(join(path, STORE));
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false; // a file
  }
}

function alreadyThere(path: string): { where: string; hint: string } {
  if (!isRun(path))
    return { where: path, hint: "the folder holds other files; name another with --run" };
  return {
    where: path,
    hint: `continue it with \`icrl run stage2..3 --run ${path}\`, or name another with --run`,
  };
}

/** Refuses while another living process writes the run; the mark of a dead one is replaced. */
function markWriter(path: string): void {
  const mark = join(path, WRITER);
  try {
    writeFileSync(mark, `${process.pid}\n`, { flag: "wx" });
  } catch {
    const other = Number.parseInt(readFileSync(mark, "utf8"), 10);
    if (isAlive(other)) {
      throw new UserError(`process ${other} is writing this run`, {
        where: path,
        hint: `if it is not, delete ${mark}`,
      });
    }
    writeFileSync(mark, `${process.pid}\n`);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
