// The command line of the sandbox. Pure. All namespaces are its own, there is no network, no /proc,
// no /sys, no /etc; of the host only Python's files, read-only. Everything written lies in one
// tmpfs. Not here: what a process may do inside (lockdown.py).

import { UserError } from "../../config/errors.ts";
import type { SandboxHost } from "./host.ts";

/** The user inside, where root starts it: limits of processes do not hold for root's own. */
export const INNER_USER = 1000;
export const WORK = "/tmp";

/** Descriptors of bubblewrap's: it tells of its child on one and waits for the other. */
export const ROOT_FDS = { info: 3, go: 4 } as const;

const NAMESPACES = [
  "--unshare-user",
  "--unshare-pid",
  "--unshare-net",
  "--unshare-ipc",
  "--unshare-uts",
  "--unshare-cgroup-try",
  "--die-with-parent",
  "--new-session",
  "--cap-drop",
  "ALL",
];
const DEVICES = ["null", "zero", "random", "urandom"];

export interface SandboxSettings {
  readonly diskBytes: number;
  readonly isRoot: boolean;
}

/** Everything before the program's own arguments. */
export function bubblewrapArguments(host: SandboxHost, settings: SandboxSettings): string[] {
  const paths = visiblePaths(host);
  return [
    ...NAMESPACES,
    ...(settings.isRoot ? rootArguments() : []),
    "--hostname",
    "sandbox",
    "--dir",
    "/dev",
    ...DEVICES.flatMap((name) => ["--dev-bind", `/dev/${name}`, `/dev/${name}`]),
    "--symlink",
    WORK,
    "/dev/shm",
    // Without --size (before 0.7) the zygote's own watch over the folder is the limit.
    ...(isAtLeast(host.bwrapVersion, [0, 7]) ? ["--size", String(settings.diskBytes)] : []),
    "--tmpfs",
    WORK,
    // Folders that bubblewrap makes by itself on the way are for root alone.
    ...foldersAbove(paths).flatMap((path) => ["--dir", path]),
    ...paths.flatMap((path) => ["--ro-bind", path, path]),
    "--remount-ro",
    "/",
    "--chdir",
    WORK,
    ...Object.entries(environment(host)).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/** Two users are mapped from outside, and the zygote becomes the second of them. */
function rootArguments(): string[] {
  const { info, go } = ROOT_FDS;
  const capabilities = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"];
  return [...capabilities, "--info-fd", String(info), "--userns-block-fd", String(go)];
}

/** Of the host, what is seen inside; never a path within another. */
export function visiblePaths(host: SandboxHost): string[] {
  const all = [...host.path, host.executable, ...host.libraries];
  const own = all.find((path) => path === WORK || path.startsWith(`${WORK}/`));
  if (own !== undefined) {
    const hint = "install it in another folder, or name another with tool.python.python";
    throw new UserError(`Python lies in ${WORK}, which is the sandbox's own`, { where: own, hint });
  }
  const isWithin = (path: string) => host.path.some((it) => path.startsWith(`${it}/`));
  return [...new Set(all)].filter((path) => !isWithin(path));
}

function environment(host: SandboxHost): Record<string, string> {
  return {
    HOME: WORK,
    TMPDIR: WORK,
    LANG: "C.UTF-8",
    PATH: "/usr/bin:/bin",
    LD_LIBRARY_PATH: [...new Set(host.libraries.map(folderOf))].join(":"),
    PYTHONHOME: host.home,
    PYTHONHASHSEED: "0", // the same snippet, the same order of a set
    OPENBLAS_NUM_THREADS: "1",
    OMP_NUM_THREADS: "1",
    MKL_NUM_THREADS: "1",
  };
}

/** All folders on the way to the paths, outer ones first. */
function foldersAbove(paths: readonly string[]): string[] {
  const above = (path: string): string[] => (path === "/" ? [] : [...above(folderOf(path)), path]);
  return [...new Set(paths.flatMap((path) => above(folderOf(path))))];
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export function isAtLeast(version: string, wanted: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}
