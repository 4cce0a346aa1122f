import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { amount, cells, type Figure, isReached, ratioAtLeast, valueAtMost } from "../../bench/figure.ts";
import { ggufName, writeGguf } from "../../bench/gguf.ts";
import { Opponents } from "../../bench/opponents.ts";
import { shapeOf, TINY } from "../../bench/shapes.ts";
import { PARTS } from "../../bench/throughput.ts";
import { fitExponent, median, pairedRatio, takeTurns } from "../../bench/timing.ts";
import { markdown, readRecords, withTable } from "../../bench/write-table.ts";
import { Policy } from "../../ffi/policy.ts";
import { openCpu } from "../helpers/engine.ts";

const nobody = new Opponents({ against: false, llama: undefined, python: "python3" }, () => {});
const rates = { engineFlops: 1e11, torchFlops: 9e10, readBytes: 2e10, copyBytes: 2e10 };

for (const name of ["step", "update", "decode", "large", "large-decode", "scaling", "stages"]) {
  test(`the part ${name} gives finite figures under keys of their own`, async () => {
    using _ = openCpu();
    const limits = () => rates;
    const bench = { work: TINY, repeats: 2, opponents: nobody, limits };
    const figures = await PARTS[name]!({ device: "cpu", ...bench });
    expect(figures.length).toBeGreaterThan(0);
    expect(figures.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
    expect(new Set(figures.map(({ key }) => key)).size).toBe(figures.length);
  }, 120_000);
}

test("contestants alternate, and the order turns round after each round", async () => {
  const calls: string[] = [];
  const contestants = ["a", "b"].map((name) => () => calls.push(name));
  await takeTurns(contestants, 3);
  expect(calls.join("")).toBe("abbaab");
});

test("a ratio is the median over rounds, so one disturbed round does not move it", () => {
  expect(pairedRatio([1, 1, 10], [4, 5, 5])).toBe(4); // 4, 5, 0.5
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("the exponent of y = 3 x^1.5 is 1.5", () => {
  const xs = [1, 2, 4, 8];
  expect(fitExponent(xs, xs.map((x) => 3 * x ** 1.5))).toBeCloseTo(1.5, 12);
});

const FIGURE: Figure = {
  key: "a",
  what: "a step",
  value: 0.5,
  unit: "s",
  other: { name: "TRL", value: 12, peakBytes: 3 * 2 ** 30 },
  ratio: 24,
  wanted: ratioAtLeast(20),
  peakBytes: 200 * 2 ** 20,
};

test("a row says what was reached, and by what means", () => {
  expect(cells(FIGURE)).toEqual([
    "a step",
    "0.50 s",
    "12.0 s TRL",
    "24.0x",
    ">= 20x: reached",
    "200 MiB / 3.0 GiB",
    "",
  ]);
});

test("without an opponent nothing is reached or missed", () => {
  const { other: _, ratio: __, ...alone } = FIGURE;
  expect(isReached(alone)).toBeUndefined();
  expect(isReached({ ...alone, wanted: valueAtMost(0.4) })).toBe(false);
});

test("amounts have three digits", () => {
  const shown = [1234.5, 12.345, 1.2345, 0.012345].map((value) => amount(value, "s"));
  expect(shown).toEqual(["1235 s", "12.3 s", "1.23 s", "0.012 s"]);
  expect(amount(0.856, "%")).toBe("86 %");
});

test("a recording becomes the table between the markers, and the last figure of a key wins", () => {
  const machine = { type: "machine", cpu: "C", cores: 2, isa: "avx2", torch: "1", commit: "c" };
  const rows = [{ ...machine, memoryBytes: 2 ** 30 }, { ...FIGURE, value: 9 }, FIGURE];
  const lines = rows.map((row) => JSON.stringify({ type: "figure", ...row })).join("\n");
  const table = markdown(readRecords([lines]));
  expect(table).toContain("C, 2 cores, avx2, 1 GiB; libtorch 1; commit c");
  expect(table).toContain("| a step | 0.50 s | 12.0 s TRL |");
  expect(table).not.toContain("9.00 s");
  const [from, to] = ["<!-- MEASURED:throughput -->", "<!-- /MEASURED:throughput -->"];
  expect(withTable(`x\n${from}\nold\n${to}\ny\n`, "new\n")).toBe(`x\n${from}\nnew\n${to}\ny\n`);
});

test("a GGUF file has its tensors where its header says", () => {
  const folder = mkdtempSync(join(tmpdir(), "icrl-gguf-"));
  try {
    using device = openCpu();
    using policy = Policy.open(device, shapeOf("tiny-qwen2.5"), "f32");
    policy.randomize(1, 0.02);
    const path = join(folder, "a.gguf");
    writeGguf(policy, path, "f32", 1e6);
    const bytes = readFileSync(path);
    expect(bytes.toString("latin1", 0, 4)).toBe("GGUF");
    expect(Number(bytes.readBigUInt64LE(8))).toBe(policy.tensors().length);
    // output_norm is the last tensor: dimensions, size, type, offset.
    const at = bytes.indexOf("output_norm.weight") + "output_norm.weight".length;
    const { hidden } = policy.config;
    expect(bytes.readUInt32LE(at)).toBe(1);
    expect(Number(bytes.readBigUInt64LE(at + 4))).toBe(hidden);
    expect(bytes.readUInt32LE(at + 12)).toBe(0);
    const data = Math.ceil((at + 24) / 32) * 32;
    const offset = Number(bytes.readBigUInt64LE(at + 16));
    expect(bytes.length).toBe(data + offset + 4 * hidden);
    expect(bytes.readFloatLE(data + offset)).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("tensors have llama.cpp's names", () => {
  expect(ggufName("model.layers.3.self_attn.q_proj.bias")).toBe("blk.3.attn_q.bias");
  expect(ggufName("model.norm.weight")).toBe("output_norm.weight");
  expect(() => ggufName("model.layers.0.self_attn.q_norm.weight")).toThrow("no name");
});

test("a peer that can't run is one line, and no comparison", async () => {
  const said: string[] = [];
  const options = { against: true, llama: undefined, python: "/nowhere/python" };
  const opponents = new Opponents(options, (line) => said.push(line));
  expect(await opponents.script("update", ["torch", "transformers"], {})).toBeUndefined();
  expect(said).toEqual(["/nowhere/python lacks torch, transformers: not compared with update"]);
});
