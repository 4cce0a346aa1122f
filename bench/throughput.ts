// The table of `icrl bench throughput`: which parts there are. Not here: what a part measures
// (parts/), running them (suite.ts), and how a figure is shown (figure.ts).

import type { Part } from "./bench.ts";
import { decode } from "./parts/decode.ts";
import { large } from "./parts/large.ts";
import { largeDecode } from "./parts/large-decode.ts";
import { limits } from "./parts/limits.ts";
import { scaling } from "./parts/scaling.ts";
import { stages } from "./parts/stages.ts";
import { stagesRun, start } from "./parts/start.ts";
import { step } from "./parts/step.ts";
import { updates } from "./parts/update.ts";
import { FULL, TINY, type Work } from "./shapes.ts";
import type { Suite } from "./suite.ts";

/** In the order of the table. */
export const PARTS: Readonly<Record<string, Part<Work>>> = {
  limits,
  step,
  update: updates,
  decode,
  large,
  "large-decode": largeDecode,
  scaling,
  stages,
  start,
  run: stagesRun,
};

export const THROUGHPUT: Suite<Work> = { name: "throughput", parts: PARTS, full: FULL, tiny: TINY };
