// The safetensors reader on good, damaged and hostile files, from memory and from disk, and the
// writer's round trip.

import { expect, test } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { UserError } from "../../src/config/errors.ts";
import { fileSource, memorySource } from "../../src/model/byte-source.ts";
import { readHeader, readTensor, type SafetensorsDtype } from "../../src/model/safetensors.ts";
import { writeSafetensors } from "../../src/model/safetensors-write.ts";

/** A file with this header text and that many bytes of data. */
function file(header: string | object, dataBytes: number, claimedLength?: bigint): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(text.byteLength), true);
  bytes.set(text, 8);
  return bytes;
}

function tensor(dtype: string, shape: unknown, data_offsets: unknown) {
  return { dtype, shape, data_offsets };
}

const A = tensor("F32", [2, 3], [0, 24]);
const REFUSED: readonly [string, Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(0), /is no safetensors file: 0 bytes/],
  [
    "a header longer than the file",
    file("{}", 0, 500n),
    /is truncated: a header of 500 bytes, 2 there/,
  ],
  [
    "a header of 2^63 bytes",
    file("{}", 0, 2n ** 63n),
    /claims a header of 9223372036854775808 bytes/,
  ],
  ["a header that is not JSON", file("{nope", 0), /has a header that is not JSON/],
  ["a header that is a list", file("[]", 0), /not a JSON object/],
  [
    "a header nested too deep",
    file("[".repeat(1_000_000), 0),
    /has a header that is not JSON|not a JSON object/,
  ],
  ["an entry that is a number", file({ a: 3 }, 0), /tensor a is not described by an object/],
  [
    "an unknown dtype",
    file({ a: tensor("F12", [1], [0, 4]) }, 4),
    /tensor a has the unknown dtype "F12"/,
  ],
  [
    "a dtype of the prototype",
    file({ a: tensor("toString", [1], [0, 4]) }, 4),
    /unknown dtype "toString"/,
  ],
  [
    "a dtype that does not fit the bytes",
    file({ a: tensor("BF16", [2, 3], [0, 24]) }, 24),
    /has 24 bytes, but BF16 \[2, 3\] needs 12/,
  ],
  [
    "a negative dimension",
    file({ a: tensor("F32", [-1, -6], [0, 24]) }, 24),
    /tensor a has the invalid shape \[-1,-6\]/,
  ],
  ["a fractional dimension", file({ a: tensor("F32", [1.5, 4], [0, 24]) }, 24), /invalid shape/],
  [
    "a shape that overflows",
    file({ a: tensor("F32", [2 ** 52, 2 ** 52], [0, 24]) }, 24),
    /needs 8.1\d+e\+31/,
  ],
  [
    "a shape that is missing",
    file({ a: { dtype: "F32", data_offsets: [0, 24] } }, 24),
    /invalid shape undefined/,
  ],
  [
    "negative offsets",
    file({ a: tensor("F32", [2, 3], [-24, 0]) }, 24),
    /invalid data_offsets \[-24,0\]/,
  ],
  [
    "offsets that run backwards",
    file({ a: tensor("F32", [0], [8, 0]) }, 8),
    /invalid data_offsets \[8,0\]/,
  ],
  ["huge offsets", file({ a: tensor("F32", [2, 3], [1e300, 1e300]) }, 24), /invalid data_offsets/],
  [
    "offsets beyond the file",
    file({ a: A }, 20),
    /tensor a ends at byte \d+, beyond the file's \d+ \(truncated\?\)/,
  ],
  [
    "tensors that overlap",
    file({ a: A, b: tensor("F32", [2], [20, 28]) }, 28),
    /tensor b overlaps the tensor before it/,
  ],
  ["the same bytes twice", file({ a: A, b: A }, 24), /tensor b overlaps/],
  [
    "a hole",
    file({ a: A, b: tensor("F32", [1], [28, 32]) }, 32),
    /tensor b leaves 4 unused bytes before it/,
  ],
  ["bytes after the last tensor", file({ a: A }, 30), /has 6 bytes after its last tensor/],
  [
    "a name listed twice",
    file(`{"a":${JSON.stringify(A)}, "\\u0061" : ${JSON.stringify(A)}}`, 24),
    /tensor a is listed twice/,
  ],
  ["metadata that is not text", file({ __metadata__: { n: 1 }, a: A }, 24), /__metadata__/],
];
for (const [name, bytes, message] of REFUSED) {
  test(`${name} is refused in one line that names the file`, () => {
    let caught: unknown;
    try {
      readHeader(memorySource("model.safetensors", bytes));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UserError);
    expect((caught as UserError).message).toMatch(message);
    expect((caught as UserError).describe()).toContain("model.safetensors");
    expect((caught as UserError).describe()).not.toContain("\n");
  });
}

test("tensors come in the order of their data, with scalars and empty tensors", () => {
  const header = {
    b: tensor("F64", [], [24, 32]),
    __metadata__: { format: "pt" },
    a: A,
    c: tensor("I8", [0, 7], [32, 32]),
  };
  const parsed = readHeader(memorySource("m", file(header, 32)));
  expect(parsed.tensors.map(({ name }) => name)).toEqual(["a", "b", "c"]);
  expect(parsed.metadata).toEqual({ format: "pt" });
  expect(parsed.tensors[1]).toMatchObject({ dtype: "F64", shape: [], byteLength: 8 });
});

test("a name within a nested object is not mistaken for a tensor's", () => {
  const header = { __metadata__: { a: '"a":{', shape: "x" }, a: A };
  expect(readHeader(memorySource("m", file(header, 24))).tensors).toHaveLength(1);
});

test("any bytes either parse or are refused with a UserError", () => {
  const good = file({ a: A, b: tensor("BF16", [4], [24, 32]) }, 32);
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(damage, fc.nat(good.length), (changes, cut) => {
      const bytes = good.slice(0, changes.length === 1 ? cut : good.length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      try {
        readHeader(memorySource("m", bytes));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
      }
    }),
    { seed: 3, numRuns: 500 },
  );
});

test("what is written is read back, in order, data aligned to 8 bytes, and no temporary file stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-safetensors-"));
  try {
    const path = join(folder, "x.safetensors");
    const tensors: readonly [string, SafetensorsDtype, number[]][] = [
      ["z", "F32", [2, 3]],
      ["a.b", "BF16", [5]],
      ["s", "F64", []],
    ];
    const data = tensors.map(([, dtype, shape], i) =>
      bytesOf(shape.reduce((p, n) => p * n, 1) * width(dtype), i),
    );
    writeSafetensors(
      path,
      tensors.map(([name, dtype, shape], i) => ({ name, dtype, shape, bytes: () => data[i]! })),
    );
    using source = fileSource(path);
    const { tensors: read } = readHeader(source);
    expect(read.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual(tensors as never);
    expect(read.map((entry) => readTensor(source, entry))).toEqual(data as never);
    expect(read[0]!.offset % 8).toBe(0);
    expect(readdirSync(folder)).toEqual(["x.safetensors"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a tensor beyond 4 GiB is read without the rest of the file", () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-safetensors-"));
  try {
    const path = join(folder, "big.safetensors");
    const before = 5 * 2 ** 30;
    const head = file(
      { a: tensor("U8", [before], [0, before]), b: tensor("U8", [4], [before, before + 4]) },
      0,
    );
    const fd = openSync(path, "w");
    writeSync(fd, head);
    writeSync(fd, Uint8Array.of(1, 2, 3, 4), 0, 4, head.byteLength + before); // sparse: takes no disk
    closeSync(fd);
    using source = fileSource(path);
    const { tensors } = readHeader(source);
    expect([...readTensor(source, tensors[1]!)]).toEqual([1, 2, 3, 4]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a writer that fails leaves the old file as it was", () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-safetensors-"));
  try {
    const path = join(folder, "x.safetensors");
    writeFileSync(path, "old");
    const short = { name: "a", dtype: "F32", shape: [4], bytes: () => new Uint8Array(3) } as const;
    expect(() => writeSafetensors(path, [short])).toThrow(/a: 3 bytes for F32 \[4\]/);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["x.safetensors"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function width(dtype: SafetensorsDtype): number {
  return { F64: 8, F32: 4, BF16: 2 }[dtype as "F64"] ?? 1;
}
function bytesOf(length: number, salt: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + salt) & 255);
}
