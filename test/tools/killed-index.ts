// Run by index-build.test.ts: makes an index and is killed when it says for the n-th time that it
// is in a phase, or, with n = 0, never.
//   bun killed-index.ts CORPUS OUT reading:2 ROWS_OF_A_TRANSACTION

import { buildIndex } from "../../src/tools/index-build.ts";

const [corpus, out, at, commitRows] = process.argv.slice(2) as [string, string, string, string];
const [killPhase, killAt] = at.split(":");
let told = 0;
await buildIndex({
  files: [corpus],
  out,
  skipBadRows: true,
  restart: false,
  commitRows: Number(commitRows),
  onProgress({ phase }) {
    if (phase === killPhase && ++told === Number(killAt)) process.kill(process.pid, "SIGKILL");
  },
});
