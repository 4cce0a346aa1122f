// What the policy reads of a run: what was printed; else the value of the last expression; then,
// where it went wrong, the error. Pure.

import type { ToolAnswer } from "../tool.ts";
import type { SandboxLimits } from "./limits.ts";
import type { RunResult } from "./worker.ts";

export const NO_OUTPUT = "(no output)";

export function observation(result: RunResult, limits: SandboxLimits): ToolAnswer {
  const [output = "", report = ""] = result.parts;
  const printed = output.replace(/\n+$/, "");
  const said = report.slice(1).trimEnd();
  const fault = faultOf(result, report.startsWith("e") ? said : "", limits);
  const value = report.startsWith("v") && printed === "" && fault === "" ? said : "";
  const text = [printed, value, fault].filter((it) => it !== "").join("\n");
  return { text: text === "" ? NO_OUTPUT : text, executionFailed: fault !== "" };
}

/** Empty where nothing went wrong. */
function faultOf({ outcome, status }: RunResult, error: string, limits: SandboxLimits): string {
  switch (outcome) {
    case "timeout":
      return `TimeoutError: stopped after ${limits.timeMs / 1000} seconds`;
    case "output":
      return `... (output cut after ${limits.outputBytes} bytes, stopped)`;
    case "disk":
      return `OSError: stopped after writing more than ${diskText(limits)}`;
    case "cancelled":
      return "TimeoutError: stopped";
    case "exit":
      return error !== "" || status === 0 ? error : ended(status);
  }
}

function diskText({ diskBytes, files }: SandboxLimits): string {
  return `${Math.floor(diskBytes / 2 ** 20)} MiB or ${files} files`;
}

function ended(status: number): string {
  if (status > 0) return `Error: ended with exit code ${status}`;
  return `Error: killed by signal ${-status}${SIGNALS[-status] ?? ""}`;
}

const SIGNALS: Readonly<Record<number, string>> = {
  6: " (SIGABRT)",
  9: " (SIGKILL)",
  11: " (SIGSEGV)",
  24: " (SIGXCPU, too much processor time)",
  25: " (SIGXFSZ, a file too large)",
  31: " (SIGSYS)",
};
