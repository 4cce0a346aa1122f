// Runs the compilers of a build: shell commands, as many at a time as the machine's memory allows.
import { availableParallelism, totalmem } from "node:os";

/** Returns the first line that says what went wrong, or undefined. ICRL_BUILD_VERBOSE=1 prints all that they said. */
export function runAll(commands: readonly string[]): string | undefined {
  if (commands.length === 0) return undefined;
  const stdin = Buffer.from(commands.map((command) => `${command}\0`).join(""));
  const jobs = String(numJobs());
  const run = Bun.spawnSync(["xargs", "-0", "-n", "1", "-P", jobs, "sh", "-c"], { stdin, stderr: "pipe" });
  if (run.success) return undefined;
  const output = run.stderr.toString();
  if (process.env["ICRL_BUILD_VERBOSE"]) process.stderr.write(output);
  return output.split("\n").find((line) => /error|not found|cannot/i.test(line)) ?? output.trim();
}

/** A compiler that reads libtorch's headers takes about 1.5 GiB. */
function numJobs(): number {
  const byMemory = Math.floor(totalmem() / (2 * 2 ** 30));
  return Math.max(1, Math.min(availableParallelism(), byMemory, 16));
}

export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
