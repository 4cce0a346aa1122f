import { expect, test } from "bun:test";
import { renderRollout } from "../../src/rollout/render.ts";
import { rollOut } from "../../src/rollout/rollout.ts";
import { byteTokenizer, EOS } from "../helpers/byte-tokenizer.ts";
import { promptOf, request, settings } from "../helpers/rollouts.ts";
import { ScriptedEngine } from "../helpers/scripted-engine.ts";

async function sample(script: readonly number[]) {
  const engine = new ScriptedEngine(() => script);
  return (await rollOut(engine, request(promptOf("Where?\n")), settings())).rollout;
}

test("a rollout is coloured by who wrote it, line by line", async () => {
  const rollout = await sample(byteTokenizer.encode("<search> a </search><answer> b </answer>"));
  expect(renderRollout(rollout, byteTokenizer, true)).toBe(
    "\u001b[2mWhere?\u001b[0m\n" +
      "\u001b[32m<search> a </search>\u001b[0m\n" +
      "\u001b[34m<information> found a </information>\u001b[0m\n" +
      "\u001b[32m<answer> b </answer>\u001b[0m",
  );
});

test("without colour the author is named where it changes", async () => {
  const rollout = await sample([...byteTokenizer.encode("hm"), EOS]);
  expect(renderRollout(rollout, byteTokenizer, false)).toBe(
    "[prompt]\nWhere?\n[policy]\nhm<|endoftext|>\n",
  );
});

test("control characters of the policy do not reach the terminal", async () => {
  const rollout = await sample([27, 91, 50, 74, EOS]);
  expect(renderRollout(rollout, byteTokenizer, false)).not.toContain("\u001b");
});
