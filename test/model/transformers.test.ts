// Saved and exported folders load in transformers as they are, with the same logprobs. Runs on request, since it
// needs a Python with torch and transformers: ICRL_TEST_PYTHON=/path/to/python bun test
// test/model/transformers.test.ts

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFolder } from "../../src/model/byte-source.ts";
import { exportFolder } from "../../src/model/export.ts";
import { nanoFolder } from "../../src/model/nano/folder.ts";
import { rowBatch } from "../../src/model/score.ts";
import { openTokenizer } from "../../src/model/tokenizer-folder.ts";
import { loadPolicy, saveFolder } from "../../src/model/weights.ts";
import { openCpu, relativeError } from "../helpers/engine.ts";
import { GOLDEN_MODELS, goldenPath, readGolden } from "../helpers/folders.ts";

const python = process.env["ICRL_TEST_PYTHON"];
const SAVED = [
  ["f32", "torch.float32", 1e9],
  ["bf16", "torch.bfloat16", 20_000],
] as const;

for (const name of GOLDEN_MODELS) {
  for (const [dtype, torchDtype, maxShardBytes] of SAVED) {
    const claim = `${name} saved in ${dtype} and exported loads in transformers with the same logprobs`;
    test.skipIf(python === undefined)(
      claim,
      () => {
        const folder = mkdtempSync(join(tmpdir(), "icrl-transformers-"));
        try {
          using device = openCpu();
          using policy = loadPolicy(device, goldenPath(name), "f32");
          const options = { dtype, copyFrom: goldenPath(name), maxShardBytes };
          saveFolder(policy, join(folder, "saved"), options);
          exportFolder(diskFolder(join(folder, "saved")), join(folder, "exported"));
          using saved = loadPolicy(device, join(folder, "saved"), "f32");
          const { ids } = readGolden(name);
          const theirs = askTransformers(join(folder, "exported"), ids);
          expect(theirs).toMatchObject({ dtype: torchDtype, problems: {} });
          const { logprobs_N } = saved.logprobs(rowBatch(ids));
          expect(relativeError(theirs.logprobs.slice(1) as number[], logprobs_N)).toBeLessThan(
            1e-5,
          );
        } finally {
          rmSync(folder, { recursive: true });
        }
      },
      120_000,
    );
  }
}

test.skipIf(python === undefined)(
  "nano exported loads in transformers with the same logprobs and the same token ids",
  () => {
    const folder = join(mkdtempSync(join(tmpdir(), "icrl-transformers-")), "nano");
    try {
      exportFolder(nanoFolder(), folder, "f32");
      const source = diskFolder(folder);
      using device = openCpu();
      using policy = loadPolicy(device, source, "f32");
      const text =
        "Question: Who is it?\n\n\n  <think> caf\u00e9, 12 don't </think>\n<|endoftext|>x";
      const ids = openTokenizer(source).encode(text);
      const theirs = askTransformers(folder, ids, text);
      expect(theirs).toMatchObject({ dtype: "torch.float32", problems: {}, encoded: ids });
      const { logprobs_N } = policy.logprobs(rowBatch(ids));
      expect(relativeError(theirs.logprobs.slice(1) as number[], logprobs_N)).toBeLessThan(1e-5);
    } finally {
      rmSync(join(folder, ".."), { recursive: true });
    }
  },
  120_000,
);

interface Answer {
  readonly dtype: string;
  readonly problems: Record<string, readonly string[]>;
  readonly logprobs: readonly (number | null)[];
  readonly encoded?: readonly number[];
}

function askTransformers(folder: string, ids: readonly number[], ...text: string[]): Answer {
  const script = join(import.meta.dir, "../golden/check_folder.py");
  const run = Bun.spawnSync([python!, script, folder, ids.join(","), ...text], { stderr: "pipe" });
  if (!run.success) throw new Error(run.stderr.toString());
  return JSON.parse(run.stdout.toString().trim().split("\n").at(-1)!) as Answer;
}
