// Tools for tests, and toolboxes of them.

import { textSpec, type Tool } from "../../src/tools/tool.ts";
import { Toolbox, type ToolboxOptions, type ToolLimits } from "../../src/tools/toolbox.ts";

export function toolOf(call: Tool["call"], name = "search"): Tool {
  return { name, spec: textSpec(`The tool ${name}.`, "input", "what it works on"), call };
}

export const LIMITS: ToolLimits = {
  policy: { deadlineMs: 100, retries: 0, backoffMs: 1 },
  concurrency: 64,
  breaker: { failures: 1000, cooldownMs: 1000 },
  maxObservationTokens: 80,
};

/** A toolbox whose tools have all the same limits, and their names as tags. */
export function toolboxOf(
  tools: readonly Tool[],
  limits: Partial<ToolLimits> = {},
  options: ToolboxOptions = {},
): Toolbox {
  const entries = tools.map((tool) => ({
    tool,
    limits: { ...LIMITS, ...limits },
    tag: tool.name,
  }));
  return new Toolbox(entries, options);
}
