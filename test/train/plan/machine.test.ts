// The memory of a machine and of the control groups around the process, from folders that look like
// /proc and /sys.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { machineMemory } from "../../../src/train/plan/machine.ts";

const GIB = 2 ** 30;
let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), "icrl-machine-"))));
afterEach(() => rmSync(root, { recursive: true }));

function files(contents: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
const kib = (bytes: number): string => `${bytes / 1024} kB`;
const MEMINFO = {
  "proc/meminfo": `MemTotal: ${kib(16 * GIB)}\nMemFree: 1 kB\nMemAvailable: ${kib(10 * GIB)}\n`,
};

test("without control groups it is the machine's", () => {
  files(MEMINFO);
  expect(machineMemory(root)).toEqual({ totalBytes: 16 * GIB, availableBytes: 10 * GIB });
});

test("version 2: the tightest group above counts, without the page cache that can go", () => {
  files({
    ...MEMINFO,
    "proc/self/cgroup": "0::/job/step\n",
    "sys/fs/cgroup/job/memory.max": `${8 * GIB}\n`,
    "sys/fs/cgroup/job/memory.current": `${5 * GIB}\n`,
    "sys/fs/cgroup/job/memory.stat": `anon 1\ninactive_file ${GIB}\n`,
    "sys/fs/cgroup/job/step/memory.max": "max\n",
  });
  expect(machineMemory(root)).toEqual({ totalBytes: 8 * GIB, availableBytes: 4 * GIB });
});

test("version 1: the memory controller's limit, also where the group's path is another's", () => {
  files({
    ...MEMINFO,
    "proc/self/cgroup": "4:cpu,cpuacct:/\n3:memory:/docker/abc\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": `${4 * GIB}`,
    "sys/fs/cgroup/memory/memory.usage_in_bytes": `${GIB}`,
  });
  expect(machineMemory(root)).toEqual({ totalBytes: 4 * GIB, availableBytes: 3 * GIB });
});

test("a limit above the machine's memory is none", () => {
  files({
    ...MEMINFO,
    "proc/self/cgroup": "3:memory:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": `${GIB}`,
  });
  expect(machineMemory(root)).toEqual({ totalBytes: 16 * GIB, availableBytes: 10 * GIB });
});
