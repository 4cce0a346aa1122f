// Where the bytes of a model come from: a file on disk, read piece by piece however large it is, or
// memory (files embedded in the executable). And a folder of either. Not a cache: every read reads.

import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { UserError } from "../config/errors.ts";

/** Owned by whoever opened it: `using source = ...`. */
export interface ByteSource extends Disposable {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /**
   * Bytes [offset, offset + length) in memory of their own. Throws a UserError where the source is
   * shorter.
   */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

export interface FolderSource {
  readonly name: string;
  list(): readonly string[];
  has(file: string): boolean;
  open(file: string): ByteSource;
  /** The whole file; for small ones. */
  bytes(file: string): Uint8Array;
}

const READ_BYTES = 2 ** 28; // one read call of Linux moves less than 2 GiB

export function fileSource(path: string): ByteSource {
  const fd = openFile(path);
  const size = fstatSync(fd).size;
  return {
    name: path,
    size,
    read: (offset, length) => readExactly(fd, path, size, offset, length),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: (offset, length) => {
      checkRange(name, bytes.byteLength, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    [Symbol.dispose]: () => {},
  };
}

export function diskFolder(folder: string): FolderSource {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new UserError("no such model folder", {
      where: folder,
      hint: "give a folder with config.json and safetensors files",
    });
  }
  return {
    name: folder,
    list: () => readdirSync(folder).filter((file) => isFile(join(folder, file))),
    has: (file) => existsSync(join(folder, file)),
    open: (file) => fileSource(join(folder, file)),
    bytes: (file) => readFileSync(join(folder, file)),
  };
}

/** A link to nothing is none. */
const isFile = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true;

export function memoryFolder(
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
): FolderSource {
  const bytes = (file: string): Uint8Array => {
    const found = Object.hasOwn(files, file) ? files[file] : undefined;
    if (found === undefined) throw new UserError("no such file", { where: `${name}/${file}` });
    return found;
  };
  return {
    name,
    list: () => Object.keys(files),
    has: (file) => Object.hasOwn(files, file),
    open: (file) => memorySource(`${name}/${file}`, bytes(file)),
    bytes,
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new UserError(`cannot be opened: ${(error as Error).message}`, { where: path });
  }
}

function readExactly(
  fd: number,
  path: string,
  size: number,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  checkRange(path, size, offset, length);
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(fd, bytes, done, Math.min(READ_BYTES, length - done), offset + done);
    if (count === 0) throw new UserError("became shorter while it was read", { where: path });
    done += count;
  }
  return bytes;
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new UserError(
    `is truncated: bytes ${offset} to ${offset + length} asked for, ${size} there`,
    { where: name },
  );
}
