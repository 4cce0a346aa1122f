// The table of `icrl bench gpu`: what a GPU box is asked, the parts of most value first. Not here:
// running them (suite.ts), how a box comes to do it (bench/gpu.sh).

import type { Part } from "../bench.ts";
import type { Suite } from "../suite.ts";
import { decode } from "./parts/decode.ts";
import { full, lora } from "./parts/large.ts";
import { nano } from "./parts/nano.ts";
import { precision } from "./parts/precision.ts";
import { rows } from "./parts/rows.ts";
import { selftests } from "./parts/selftest.ts";
import { step } from "./parts/step.ts";
import { updates } from "./parts/update.ts";
import { FULL, type GpuWork, TINY } from "./work.ts";

export const PARTS: Readonly<Record<string, Part<GpuWork>>> = {
  selftest: selftests,
  precision,
  update: updates,
  decode,
  step,
  rows,
  nano,
  full,
  lora,
};

export const GPU: Suite<GpuWork> = { name: "gpu", parts: PARTS, full: FULL, tiny: TINY };
