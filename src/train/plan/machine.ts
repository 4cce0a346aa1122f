// The memory that tensors may take here: of the machine, of the control group that the process
// lives in (containers, batch systems), or of the CUDA device. Reads files of Linux; decides
// nothing.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "../../../ffi/device.ts";

export interface MachineMemory {
  readonly totalBytes: number; // the same from one start to the next
  readonly availableBytes: number; // now, without swapping
}

export function deviceMemory(device: Device): MachineMemory {
  const { kind, free_bytes: free = 0, total_bytes: total = 0 } = device.describe();
  return kind === "cuda" ? { totalBytes: total, availableBytes: free } : machineMemory();
}

/** `root`: where /proc and /sys are. */
export function machineMemory(root = "/"): MachineMemory {
  const info = readFileSync(join(root, "proc/meminfo"), "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(info)?.[1] ?? 0) * 1024;
  let [totalBytes, availableBytes] = [field("MemTotal"), field("MemAvailable")];
  for (const { limit, used } of controlGroups(root)) {
    totalBytes = Math.min(totalBytes, limit);
    availableBytes = Math.min(availableBytes, Math.max(0, limit - used));
  }
  return { totalBytes, availableBytes };
}

interface GroupMemory {
  readonly limit: number;
  readonly used: number; // page cache that can go at any time left out
}

/** The process's own group and all above it: any of them may have a limit. */
function controlGroups(root: string): GroupMemory[] {
  const paths = readIfThere(join(root, "proc/self/cgroup")).split("\n");
  return paths.flatMap((line) => {
    const [, controllers = "", path = "/"] = line.split(":");
    const mount = join(root, "sys/fs/cgroup");
    if (line !== "" && controllers === "") return groupsAbove(mount, path, V2);
    if (!controllers.split(",").includes("memory")) return [];
    return groupsAbove(join(mount, "memory"), path, V1);
  });
}

const V2 = { limit: "memory.max", used: "memory.current", cache: "inactive_file" };
const V1 = {
  limit: "memory.limit_in_bytes",
  used: "memory.usage_in_bytes",
  cache: "total_inactive_file",
};

function groupsAbove(mount: string, path: string, files: typeof V2): GroupMemory[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  const folders = [...parts.keys(), parts.length].map((end) => join(mount, ...parts.slice(0, end)));
  return folders.flatMap((folder) => {
    const limit = Number(readIfThere(join(folder, files.limit)) || "max");
    if (!Number.isFinite(limit)) return []; // "max", or not mounted here
    const used = Number(readIfThere(join(folder, files.used)));
    const stat = readIfThere(join(folder, "memory.stat"));
    const cache = Number(new RegExp(`^${files.cache} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
    return [{ limit, used: Math.max(0, used - cache) }];
  });
}

const readIfThere = (path: string): string =>
  existsSync(path) ? readFileSync(path, "utf8").trim() : "";
