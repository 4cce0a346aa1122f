// argv to one command. Errors meant for people become one line on stderr and an exit status; anything else is our bug and
// keeps its stack.
import { CommanderError } from "commander";
import { makeProgram } from "./cli/program.ts";
import { UserError } from "./config/errors.ts";

async function main(args: readonly string[]): Promise<number> {
  try {
    await makeProgram().parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said why
    if (error instanceof UserError) {
      process.stderr.write(`icrl: ${error.describe()}\n`);
      return error.exitCode;
    }
    process.stderr.write(`icrl: internal error, please report it\n${Bun.inspect(error)}\n`);
    return 70;
  }
}

process.exitCode = await main(process.argv.slice(2));
