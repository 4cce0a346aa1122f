// The Python tool: a snippet in, what it prints or its last value out, as a notebook would show it.
// An error of the snippet is an observation for the policy to learn from, not a failure of the
// tool; a sandbox that breaks down is one. Not here: the sandbox, and what it covers (sandbox.ts).

import { InvalidCallError, textSpec, type Tool, type ToolAnswer, type ToolSpec } from "../tool.ts";
import { unwrapFence } from "./fence.ts";
import { observation } from "./observation.ts";
import { PythonSandbox, type SandboxOptions } from "./sandbox.ts";

export interface PythonToolOptions extends Partial<SandboxOptions> {
  readonly name?: string;
  readonly description?: string | undefined;
}

export class PythonTool implements Tool {
  private constructor(
    readonly name: string,
    readonly spec: ToolSpec,
    private readonly sandbox: PythonSandbox,
  ) {}

  /** Throws UserError where the sandbox can't work on this machine. The caller closes it. */
  static async open(options: PythonToolOptions = {}): Promise<PythonTool> {
    const { name = "python" } = options;
    const sandbox = await PythonSandbox.open(options);
    return new PythonTool(name, pythonSpec(options.description, sandbox.host.packages), sandbox);
  }

  async call(input: string, signal: AbortSignal): Promise<ToolAnswer> {
    const code = codeOf(input);
    return observation(await this.sandbox.run(code, signal), this.sandbox.limits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/** Throws InvalidCallError where there is none. */
export function codeOf(input: string): string {
  const code = unwrapFence(input);
  if (code.trim() === "") throw new InvalidCallError("the code is empty.");
  return code;
}

export function pythonSpec(
  description: string | undefined,
  packages: Readonly<Record<string, string>> = {},
): ToolSpec {
  const names = Object.keys(packages);
  const beside = names.length > 0 ? `, with ${names.join(" and ")}` : "";
  const said = `Runs Python code${beside} and returns what it prints or its last value.`;
  return textSpec(description ?? said, "code", "Python code to run; each call starts afresh.");
}
