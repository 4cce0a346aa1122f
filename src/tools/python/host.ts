// This host's Python and bubblewrap: found, asked what they are, or refused with what to do. Runs
// the probe outside of the sandbox, once. Not here: starting a sandbox (worker.ts).

import { z } from "zod";
import { UserError } from "../../config/errors.ts";
import probe from "./probe.py" with { type: "text" };

const hostSchema = z.object({
  executable: z.string(),
  version: z.string(),
  /** PYTHONHOME. */
  home: z.string(),
  /** Folders of the standard library and of packages. */
  path: z.array(z.string()),
  libraries: z.array(z.string()),
  /** Versions of numpy and sympy, where they are. */
  packages: z.record(z.string(), z.string()),
});

export interface SandboxHost extends Readonly<z.output<typeof hostSchema>> {
  readonly bwrap: string;
  readonly bwrapVersion: string;
}

export interface Programs {
  /** A program's name or path. */
  readonly python: string;
  readonly bwrap: string;
}
export const USUAL_PROGRAMS: Programs = { python: "python3", bwrap: "bwrap" };

export const OTHERWISE = "or use a SandboxFusion server (kind: sandbox_fusion, url: ...)";
const OLDEST = [3, 9] as const;

/** Throws UserError where one of them is missing or too old. */
export async function findHost({ python, bwrap }: Programs = USUAL_PROGRAMS): Promise<SandboxHost> {
  const bwrapPath = which(bwrap, `install it: apt-get install bubblewrap, ${OTHERWISE}`);
  const pythonPath = which(python, `install it: apt-get install python3, ${OTHERWISE}`);
  const [found, version] = await Promise.all([
    probePython(pythonPath),
    printed([bwrapPath, "--version"]),
  ]);
  return { ...found, bwrap: bwrapPath, bwrapVersion: /\d[\d.]*/.exec(version)?.[0] ?? "0" };
}

function which(program: string, hint: string): string {
  const path = Bun.which(program);
  if (path !== null) return path;
  throw new UserError(`the Python sandbox needs ${program}, which is not on the PATH`, { hint });
}

async function probePython(path: string): Promise<z.output<typeof hostSchema>> {
  // -E: the folders of PYTHONPATH are none of a snippet's business.
  const text = await printed([path, "-E", "-W", "ignore", "-c", probe]);
  const host = hostSchema.parse(JSON.parse(text));
  const [major = 0, minor = 0] = host.version.split(".").map(Number);
  if (major === OLDEST[0] && minor >= OLDEST[1]) return host;
  throw new UserError(`the Python sandbox needs Python ${OLDEST.join(".")} or newer`, {
    where: `${host.executable} is ${host.version}`,
    hint: `name another with tool.python.python, ${OTHERWISE}`,
  });
}

async function printed(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, error, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code === 0) return out;
  const last = error.trim().split("\n").at(-1) ?? "";
  throw new UserError(`the Python sandbox can't use ${command[0]}: ${last || `exit ${code}`}`, {
    hint: `name another with tool.python.python, ${OTHERWISE}`,
  });
}
