// argv to one command. Errors meant for people become one line on stderr and an exit status; anything else is our bug and
// keeps its stack.
import { CommanderError } from "commander";
import { makeProgram } from "./cli/program.ts";
import { UserError } from "./config/errors.ts";
import { DeviceError, OutOfMemoryError } from "../ffi/errors.ts";

async function main(args: readonly string[]): Promise<number> {
  try {
    await makeProgram().parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return explain(error);
  }
}

/** Says what happened and returns the exit status. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said why
  const forPeople = error instanceof UserError ? error : ofMachine(error);
  if (forPeople !== undefined) {
    process.stderr.write(`icrl: ${forPeople.describe()}\n`);
    return forPeople.exitCode;
  }
  process.stderr.write(`icrl: internal error, please report it\n${Bun.inspect(error)}\n`);
  return 70;
}

/** What the machine does, and a person can do something about. */
function ofMachine(error: unknown): UserError | undefined {
  if (error instanceof OutOfMemoryError) {
    const hint = "smaller train.max_batch_tokens and policy.cache_tokens need less";
    return new UserError(`the device is out of memory: ${error.message}`, { hint });
  }
  if (error instanceof DeviceError) {
    return new UserError(`the device failed: ${error.message}`, { hint: "icrl doctor --selftest tests it" });
  }
  return undefined;
}

process.exitCode = await main(process.argv.slice(2));
