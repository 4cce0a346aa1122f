// The loaded engine: opened at first use, checked for its ABI, and called through `check`, the one place where a status
// becomes an error. ICRL_TRACE_FFI=1 times every symbol and prints a table at exit.
import type { Pointer } from "bun:ffi";
import { errorFor, InvalidArgumentError } from "./errors.ts";
import { loadEngine } from "./loader.ts";
import { type EngineLocation, locateEngine } from "./locate.ts";
import { ABI, type SymbolName, symbols } from "./symbols.ts";

type Calls = ReturnType<typeof loadEngine<typeof symbols>>["library"]["symbols"];
export interface Native {
  readonly calls: Calls;
  readonly location: EngineLocation;
  readonly cudaProblem: string | undefined;
}

let loaded: Native | undefined; // a process has one engine library, as it has one libtorch

export function native(): Native {
  loaded ??= open();
  return loaded;
}

function open(): Native {
  const location = locateEngine();
  const { library, cudaProblem } = loadEngine(location, symbols);
  const calls = process.env["ICRL_TRACE_FFI"] ? traced(library.symbols) : library.symbols;
  const abi = calls.icrl_abi();
  if (abi !== ABI) throw new Error(`the engine has ABI ${abi}, this program expects ${ABI}: build it again`);
  return { calls, location, cudaProblem };
}

/** Calls a symbol that returns a status and throws what it means. */
export function check<Name extends SymbolName>(name: Name, ...args: Parameters<Calls[Name]>): void {
  const { calls } = native();
  const call = calls[name] as (...args: unknown[]) => number;
  const status = call(...args);
  if (status !== 0) throw errorFor(status, name, lastError(calls));
}

function lastError(calls: Calls): string {
  const buffer = new Uint8Array(4096);
  const length = calls.icrl_error_message(buffer, buffer.length);
  return new TextDecoder().decode(buffer.subarray(0, Math.min(length, buffer.length - 1)));
}

/** Text that the engine writes into a buffer. */
export function readText(write: (buffer: Uint8Array, capacity: number) => void): string {
  const buffer = new Uint8Array(1024);
  write(buffer, buffer.length);
  return new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)));
}

/** A zero-terminated name. */
export function cText(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

declare const handleOf: unique symbol;
export type NativeHandle<Noun extends string> = Pointer & { readonly [handleOf]: Noun };

/** Runs an open call and returns the handle that it wrote. */
export function openHandle<Noun extends string>(open: (out: BigUint64Array) => void): NativeHandle<Noun> {
  const out = new BigUint64Array(new ArrayBuffer(8));
  open(out);
  return Number(out[0]) as NativeHandle<Noun>;
}

/** A handle or the error of using it after close. */
export function live<Noun extends string>(handle: NativeHandle<Noun> | null, noun: Noun): NativeHandle<Noun> {
  if (handle === null) throw new InvalidArgumentError(noun, `the ${noun} is closed`);
  return handle;
}

export interface Counters {
  readonly devices: number;
  readonly policies: number;
  readonly caches: number;
  readonly trainers: number;
  readonly cpuBytes: number;
  readonly cpuPeakBytes: number;
  readonly deviceBytes: number;
  readonly devicePeakBytes: number;
}

export function counters(): Counters {
  const out = new BigInt64Array(8);
  check("icrl_counters_read", out);
  const at = (index: number) => Number(out[index]);
  return {
    devices: at(0),
    policies: at(1),
    caches: at(2),
    trainers: at(3),
    cpuBytes: at(4),
    cpuPeakBytes: at(5),
    deviceBytes: at(6),
    devicePeakBytes: at(7),
  };
}

export function resetPeak(): void {
  check("icrl_counters_reset_peak");
}

/** CPU tensors together may hold so many bytes; one more throws OutOfMemoryError. 0: no limit. */
export function setMemoryLimit(bytes: number): void {
  check("icrl_memory_limit_set", bytes);
}

export function torchVersion(): string {
  return readText((buffer, capacity) => check("icrl_torch_version", buffer, capacity));
}

export function cudaDeviceCount(): number {
  const out = new Int32Array(1);
  check("icrl_cuda_device_count", out);
  return out[0]!;
}

export function setThreads(threads: number): void {
  check("icrl_threads_set", threads);
}

interface Trace {
  calls: number;
  ms: number;
}

function traced(calls: Calls): Calls {
  const table = new Map<string, Trace>();
  process.on("exit", () => printTrace(table));
  const wrap = ([name, call]: [string, unknown]) => {
    const entry: Trace = { calls: 0, ms: 0 };
    table.set(name, entry);
    return [name, (...args: unknown[]) => timed(entry, call as (...args: unknown[]) => unknown, args)];
  };
  return Object.fromEntries(Object.entries(calls).map(wrap)) as Calls;
}

function timed(entry: Trace, call: (...args: unknown[]) => unknown, args: unknown[]): unknown {
  const start = performance.now();
  const result = call(...args);
  entry.ms += performance.now() - start;
  entry.calls++;
  return result;
}

function printTrace(table: ReadonlyMap<string, Trace>): void {
  const used = [...table].filter(([, entry]) => entry.calls > 0).toSorted(([, a], [, b]) => b.ms - a.ms);
  const line = ([name, { calls, ms }]: [string, Trace]) =>
    `${name.padEnd(28)} ${String(calls).padStart(8)} calls ${ms.toFixed(1).padStart(11)} ms ${((ms / calls) * 1000).toFixed(1).padStart(10)} us each`;
  process.stderr.write(`${used.map(line).join("\n")}\n`);
}
