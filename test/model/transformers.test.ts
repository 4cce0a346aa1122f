// Saved folders load in transformers as they are, with the same logprobs. Runs on request, since it
// needs a Python with torch and transformers: ICRL_TEST_PYTHON=/path/to/python bun test
// test/model/transformers.test.ts

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rowBatch } from "../../src/model/score.ts";
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
    const claim = `${name} saved in ${dtype} loads in transformers with the same logprobs`;
    test.skipIf(python === undefined)(
      claim,
      () => {
        const folder = mkdtempSync(join(tmpdir(), "icrl-transformers-"));
        try {
          using device = openCpu();
          using policy = loadPolicy(device, goldenPath(name), "f32");
          saveFolder(policy, join(folder, "saved"), {
            dtype,
            copyFrom: goldenPath(name),
            maxShardBytes,
          });
          using saved = loadPolicy(device, join(folder, "saved"), "f32");
          const { ids } = readGolden(name);
          const theirs = askTransformers(join(folder, "saved"), ids);
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

interface Answer {
  readonly dtype: string;
  readonly problems: Record<string, readonly string[]>;
  readonly logprobs: readonly (number | null)[];
}

function askTransformers(folder: string, ids: readonly number[]): Answer {
  const script = join(import.meta.dir, "../golden/check_folder.py");
  const run = Bun.spawnSync([python!, script, folder, ids.join(",")], { stderr: "pipe" });
  if (!run.success) throw new Error(run.stderr.toString());
  return JSON.parse(run.stdout.toString().trim().split("\n").at(-1)!) as Answer;
}
