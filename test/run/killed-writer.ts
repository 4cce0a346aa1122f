// Run by store.test.ts: writes two whole steps, then is killed half-way through the third, after
// thousands of its rows.

import { RunStore } from "../../src/run/store.ts";
import type { TrainedSample } from "../../src/run/store.ts";
import { sample, stepMetrics } from "../helpers/run-records.ts";

function* doomed(): Generator<TrainedSample> {
  // More than SQLite's page cache, so that rows of the unfinished step have already reached the
  // files.
  for (let i = 0; i < 3000; i++)
    yield { sample: sample(`g${i}`, 0, { promptTokens: 500 + i }), advantage: 0 };
  process.kill(process.pid, "SIGKILL");
}

const store = RunStore.create(process.argv[2]!);
for (const step of [1, 2]) {
  store.writeStep({
    metrics: stepMetrics(step),
    samples: [{ sample: sample("g", step), advantage: 0 }],
  });
}
store.writeStep({ metrics: stepMetrics(3), samples: doomed() });
