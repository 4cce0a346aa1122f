import { expect, test } from "bun:test";
import { Device } from "../../ffi/device.ts";
import { nanoFolder } from "../../src/model/nano/folder.ts";
import { createTokenizer, type TokenizerJson } from "../../src/model/tokenizer.ts";
import { batchOfRows, pretrainNano, scheduleAt } from "../../src/train/pretrain.ts";

test("rows become roots whose tokens each predict the next one of their own row", () => {
  const batch = batchOfRows([Int32Array.of(0, 5, 6), Int32Array.of(0, 7, 8)]);
  expect([...batch.tokens_T]).toEqual([0, 5, 6, 0, 7, 8]);
  expect([...batch.positions_T]).toEqual([0, 1, 2, 0, 1, 2]);
  expect([...batch.segments_S3]).toEqual([0, 3, 3, 3, 6, 6]);
  expect([...batch.targetRows_N]).toEqual([0, 1, 3, 4]);
  expect([...batch.targetIds_N]).toEqual([5, 6, 7, 8]);
});

test("the rate warms up over 50 steps, stays, and falls over the last 60 %", () => {
  expect(scheduleAt(0, 1300)).toBeCloseTo(1 / 50);
  expect(scheduleAt(49, 1300)).toBe(1);
  expect(scheduleAt(520, 1300)).toBe(1); // 1300 - 520 = 780 = 60 %
  expect(scheduleAt(910, 1300)).toBeCloseTo(0.5);
  expect(scheduleAt(1299, 1300)).toBeCloseTo(1 / 780);
});

test("pretraining starts at the loss of a uniform guess, lowers it, and repeats itself", async () => {
  const json = new TextDecoder().decode(nanoFolder().bytes("tokenizer.json"));
  const tokenizer = createTokenizer(JSON.parse(json) as TokenizerJson);
  using device = Device.open("cpu");
  const losses = async (seed: number): Promise<number[]> => {
    const out: number[] = [];
    using _ = await pretrainNano(device, tokenizer, { seed, steps: 3 }, ({ loss }) =>
      out.push(loss),
    );
    return out;
  };
  const first = await losses(1);
  expect(first[0]).toBeCloseTo(Math.log(1024), 1);
  expect(first[2]!).toBeLessThan(first[0]!);
  expect(await losses(1)).toEqual(first);
  expect(await losses(2)).not.toEqual(first);
}, 120_000);
