// The Python tool over HTTP: the client of servers that speak SandboxFusion's format.
//   POST /run_code {"code": "print(1)", "language": "python", "stdin": "", "compile_timeout": 10,
//                   "run_timeout": 5, "memory_limit_MB": 512, "files": {}}
//   -> {"status": "Success", "message": "", "run_result": {"status": "Finished",
//       "execution_time": 0.02, "return_code": 0, "stdout": "1\n", "stderr": ""}}
// The policy reads what was printed and, of an error, the lines of the snippet and the last line,
// without paths; unlike the local sandbox the server shows no value of a last expression. A server
// that says SandboxError has failed, whatever the code was. Deadlines and retries are callTool's.

import { z } from "zod";
import { NO_OUTPUT } from "./python/observation.ts";
import { codeOf } from "./python/python-tool.ts";
import { cleanTraceback } from "./python/traceback.ts";
import type { RecordableTool } from "./recorded.ts";
import { DEFAULT_MAX_BYTES, MAX_DETAIL, parseJson, requestText } from "./request.ts";
import type { ToolAnswer, ToolSpec } from "./tool.ts";

export interface SandboxFusionOptions {
  /** Of the endpoint; a server's bare address means its /run_code. */
  readonly url: string;
  readonly timeMs: number; // of one snippet
  readonly memoryMb: number;
}

const runSchema = z.object({
  status: z.enum(["Finished", "Error", "TimeLimitExceeded"]),
  return_code: z.number().nullish(),
  stdout: z.string().nullish(),
  stderr: z.string().nullish(),
});
type Run = z.output<typeof runSchema>;
const answerSchema = z.object({
  status: z.enum(["Success", "Failed", "SandboxError"]),
  message: z.string().nullish(),
  run_result: runSchema.nullish(),
});

export class SandboxFusionTool implements RecordableTool {
  private readonly endpoint: string;

  constructor(
    private readonly options: SandboxFusionOptions,
    readonly name: string,
    readonly spec: ToolSpec,
  ) {
    const url = new URL(options.url);
    if (url.pathname === "/") url.pathname = "/run_code";
    this.endpoint = url.href;
  }

  get identity() {
    const { timeMs, memoryMb } = this.options;
    return { kind: "sandbox_fusion", settings: { url: this.endpoint, timeMs, memoryMb } };
  }

  normalise(input: string): string {
    return codeOf(input);
  }

  /** Throws where the server can't be reached, has failed, or doesn't speak the format. */
  async call(input: string, signal: AbortSignal): Promise<ToolAnswer> {
    const { timeMs, memoryMb } = this.options;
    const request = {
      code: codeOf(input),
      language: "python",
      stdin: "",
      compile_timeout: 10,
      run_timeout: timeMs / 1000,
      memory_limit_MB: memoryMb,
      files: {},
    };
    const sent = {
      url: this.endpoint,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      maxBytes: DEFAULT_MAX_BYTES,
    };
    return readAnswer(await requestText(sent, signal), timeMs);
  }
}

/** Throws where the server has failed. */
export function readAnswer(json: string, timeMs: number): ToolAnswer {
  const answer = answerSchema.safeParse(parseJson(json, "the sandbox's answer"));
  if (!answer.success) {
    const place = answer.error.issues[0]!.path.join(".") || "the answer";
    throw new Error(`not a SandboxFusion answer at ${place}: ${json.slice(0, MAX_DETAIL)}`);
  }
  const { status, message, run_result: run } = answer.data;
  if (status === "SandboxError" || run === null || run === undefined) {
    throw new Error(`the server's sandbox failed: ${(message ?? "").slice(0, MAX_DETAIL)}`);
  }
  const fault = faultOf(run, status === "Failed", timeMs);
  const text = [(run.stdout ?? "").trimEnd(), fault].filter((it) => it !== "").join("\n");
  return { text: text === "" ? NO_OUTPUT : text, executionFailed: fault !== "" };
}

/** Empty where nothing went wrong. */
function faultOf(run: Run, hasFailed: boolean, timeMs: number): string {
  if (run.status === "TimeLimitExceeded") return stoppedAfter(timeMs);
  const code = run.return_code ?? 0;
  if (!hasFailed && run.status === "Finished" && code === 0) return "";
  const error = cleanTraceback(run.stderr ?? "");
  return error === "" ? `Error: ended with exit code ${code}` : error;
}

function stoppedAfter(timeMs: number): string {
  return `TimeoutError: stopped after ${timeMs / 1000} seconds`;
}
