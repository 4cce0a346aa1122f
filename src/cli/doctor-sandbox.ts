// The doctor's look at the Python sandbox: a worker is started and runs one line, as a Python tool
// would have it. What does not work is a note: only a Python tool and code rewards need it.
import { UserError } from "../config/errors.ts";
import type { Check } from "./doctor-checks.ts";

const NAME = "python sandbox";

export async function checkSandbox(): Promise<Check> {
  const { PythonSandbox } = await import("../tools/python/sandbox.ts");
  try {
    await using sandbox = await PythonSandbox.open({ workers: 1 });
    const { outcome, status } = await sandbox.run("print(1)");
    if (outcome !== "exit" || status !== 0) throw new UserError(`a snippet ended with ${outcome}`);
    const { version, bwrapVersion, packages } = sandbox.host;
    const has = ["numpy", "sympy"].map((name) => `${name} ${packages[name] ?? "not found"}`);
    const parts = [`Python ${version}`, `bubblewrap ${bwrapVersion}`, ...has];
    return { name: NAME, verdict: "ok", detail: parts.join(", ") };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const hint = error instanceof UserError ? error.hint : undefined;
    const todo = hint === undefined ? {} : { todo: hint };
    return { name: NAME, verdict: "note", detail: `not usable: ${error.message}`, ...todo };
  }
}
