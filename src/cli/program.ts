// The command line: every command, and what is the same for all of them. A command lives in its own file, which says its
// options and imports what it runs only when it runs: `icrl --help` loads none of it.
import { Command } from "commander";
import pkg from "../../package.json";
import { register as registerAsk } from "./ask.ts";
import { register as registerBench } from "./bench.ts";
import { register as registerContract } from "./contract.ts";
import { register as registerData } from "./data.ts";
import { register as registerDemos } from "./demos.ts";
import { register as registerDoctor } from "./doctor.ts";
import { register as registerEval } from "./eval.ts";
import { register as registerExport } from "./export.ts";
import { register as registerIndex } from "./index.ts";
import { register as registerInit } from "./init.ts";
import { register as registerPlan } from "./plan.ts";
import { register as registerPretrain } from "./pretrain.ts";
import { register as registerPull } from "./pull.ts";
import { register as registerRecipes } from "./recipes.ts";
import { register as registerReward } from "./reward.ts";
import { register as registerRun } from "./run.ts";
import { register as registerScore } from "./score.ts";
import { register as registerServe } from "./serve.ts";
import { register as registerSft } from "./sft.ts";

/** In the order in which `icrl --help` lists them. */
const COMMANDS: readonly ((program: Command) => void)[] = [
  registerRun,
  registerAsk,
  registerEval,
  registerSft,
  registerContract,
  registerPlan,
  registerRecipes,
  registerInit,
  registerData,
  registerDemos,
  registerIndex,
  registerExport,
  registerPull,
  registerScore,
  registerReward,
  registerServe,
  registerPretrain,
  registerBench,
  registerDoctor,
];

const EXAMPLES = `
First:
  icrl run stage1..3     trains the embedded policy, in minutes on two cores
  icrl doctor            says what this machine has and what it lacks
`;

export function makeProgram(): Command {
  const program = new Command("icrl")
    .description("Teaches a language model to use tools by reinforcement learning alone.")
    .version(pkg.version)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "icrl: ")) })
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows what there is)")
    .exitOverride(); // a wrong word throws, so that main sets the status; commands inherit this
  for (const register of COMMANDS) register(program);
  return program;
}
