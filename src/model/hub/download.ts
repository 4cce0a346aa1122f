// One file of a hub into the cache's blobs: goes on after a cut where it stopped, and takes its
// place only when its checksum is right. Not which files (listing.ts), not their links (pull.ts).

import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { UserError } from "../../config/errors.ts";
import { ConnectionError, type HubClient, oneLine, type Purpose, request } from "./client.ts";
import type { HubFile } from "./listing.ts";
import { abandonPartial, adoptPartial, isBeingFetched, partialPath } from "./partial.ts";

export interface Download {
  readonly client: HubClient;
  readonly purpose: Purpose;
  readonly file: HubFile;
  /** Of the hub: OWNER/NAME/resolve/COMMIT/FILE. */
  readonly urlPath: string;
  /** Where it goes. */
  readonly blob: string;
  readonly onBytes: (present: number) => void;
  /** Another process fetches the same file: we wait for it. */
  readonly onWait: () => void;
}

/** Tries in a row without a single byte. */
const MAX_TRIES = 5;
const MAX_WAIT_MS = 60_000;
const POLL_MS = 200;

export async function download(job: Download): Promise<void> {
  mkdirSync(dirname(job.blob), { recursive: true });
  if (!(await waitForOthers(job))) return job.onBytes(job.file.bytes);
  const partial = partialPath(job.blob);
  adoptPartial(job.blob, partial);
  try {
    await fill(job, partial);
    renameSync(partial, job.blob);
  } catch (error) {
    abandonPartial(job.blob, partial);
    throw asUserError(error, job);
  }
}

/** False where the file is there already, fetched before or by another process meanwhile. */
async function waitForOthers({ blob, file, onWait }: Download): Promise<boolean> {
  for (let told = false; ; told = true) {
    if (statSync(blob, { throwIfNoEntry: false })?.size === file.bytes) return false;
    if (!existsSync(dirname(blob)) || !isBeingFetched(blob)) return true;
    if (!told) onWait();
    await Bun.sleep(POLL_MS);
  }
}

/** Twice where the first result is wrong: what an earlier pull left may be at fault. */
async function fill(job: Download, partial: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const sum = await fillOnce(job, partial);
    if (sum === job.file.checksum) return;
    rmSync(partial);
    if (attempt < 2) continue;
    throw new UserError(`the checksum of ${job.file.name} is wrong`, {
      where: job.client.endpoint,
      hint: `${short(sum)} came instead of ${short(job.file.checksum)}; try again later`,
    });
  }
}

const short = (sum: string): string => `${sum.slice(0, 12)}...`;

async function fillOnce(job: Download, partial: string): Promise<string> {
  using sink = new Sink(partial, job.file);
  for (let tries = 1; sink.present < job.file.bytes;) {
    const before = sink.present;
    try {
      await receive(job, sink);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      tries = sink.present > before ? 1 : tries + 1;
      if (tries > MAX_TRIES) throw error;
      await Bun.sleep(Math.min(MAX_WAIT_MS, error.waitMs ?? job.client.waitMs(tries)));
    }
  }
  return sink.finish();
}

/** One request for what is not there yet. */
async function receive({ client, purpose, urlPath, onBytes }: Download, sink: Sink): Promise<void> {
  const silence = new AbortController();
  const cut = (): void => silence.abort();
  let timer = setTimeout(cut, client.idleMs);
  try {
    const headers: Record<string, string> =
      sink.present > 0 ? { Range: `bytes=${sink.present}-` } : {};
    const response = await request(client, urlPath, purpose, { headers, signal: silence.signal });
    sink.startAt(startOf(response));
    onBytes(sink.present);
    for await (const chunk of chunks(response)) {
      clearTimeout(timer);
      timer = setTimeout(cut, client.idleMs);
      sink.write(chunk);
      onBytes(sink.present);
    }
    if (sink.missing > 0) throw new ConnectionError("the connection ended too early");
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** A server without ranges sends the whole file again. */
function startOf(response: Response): number {
  if (response.status === 200) return 0;
  const [, start] = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "") ?? [];
  return Number(start);
}

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new ConnectionError(`the connection broke: ${oneLine(error)}`);
    });
    if (done) return;
    yield value;
  }
}

/** The partial file, and the checksum of what is in it so far. */
class Sink implements Disposable {
  present: number;
  private hash: Bun.CryptoHasher;
  private readonly descriptor: number;

  constructor(
    path: string,
    private readonly file: HubFile,
  ) {
    this.descriptor = openSync(path, existsSync(path) ? "r+" : "w+");
    utimesSync(path, new Date(), new Date()); // ours since now
    this.hash = hasher(file);
    this.present = this.hashPresent(statSync(path).size);
  }

  get missing(): number {
    return this.file.bytes - this.present;
  }

  startAt(offset: number): void {
    if (offset === this.present) return;
    if (offset !== 0) throw new ConnectionError("the hub sends another part than it was asked for");
    this.empty();
  }

  write(chunk: Uint8Array): void {
    if (chunk.length > this.missing)
      throw new UserError(`${this.file.name} is larger than the hub said`);
    for (let done = 0; done < chunk.length;)
      done += writeSync(this.descriptor, chunk, done, chunk.length - done, this.present + done);
    this.hash.update(chunk);
    this.present += chunk.length;
  }

  finish(): string {
    fsyncSync(this.descriptor);
    return this.hash.digest("hex");
  }

  private hashPresent(size: number): number {
    if (size > this.file.bytes) return this.empty();
    const buffer = new Uint8Array(Math.min(size, 2 ** 22));
    for (let at = 0; at < size;) {
      const count = readSync(this.descriptor, buffer, 0, buffer.length, at);
      this.hash.update(buffer.subarray(0, count));
      at += count;
    }
    return size;
  }

  private empty(): 0 {
    ftruncateSync(this.descriptor, 0);
    this.hash = hasher(this.file);
    return (this.present = 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }
}

/** SHA-256, or git's SHA-1 of a blob: of a header and the content. */
function hasher({ checksum, bytes }: HubFile): Bun.CryptoHasher {
  if (checksum.length === 64) return new Bun.CryptoHasher("sha256");
  return new Bun.CryptoHasher("sha1").update(`blob ${bytes}\0`);
}

function asUserError(error: unknown, { file, blob, client }: Download): unknown {
  if (error instanceof ConnectionError) {
    const hint = "what has come is kept: the same command goes on from there";
    return new UserError(`${file.name}: ${error.message}`, { where: client.endpoint, hint });
  }
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    const hint = "make room, or set HF_HOME to another disk; the same command goes on from there";
    return new UserError(`the disk is full (${file.name})`, { where: dirname(blob), hint });
  }
  return error;
}
