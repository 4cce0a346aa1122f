// `icrl ask`: one question of a person's, answered by a policy in one rollout, with the prompts,
// tools and limits that it is trained with, shown while it is sampled. It writes nothing.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { OpenedQuestion } from "../train/open-question.ts";
import type { Rollout } from "../types.ts";
import { parseCount } from "./options.ts";
import { addPolicyOptions, policyName, policyOf, type PolicyOptions } from "./policy-options.ts";
import type { AskEnd, AskScreen } from "./screen/ask.ts";

interface Options extends PolicyOptions {
  readonly shots?: number;
  readonly temperature?: number;
  readonly seed: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("ask")
    .description("ask a policy a question, and see it think, call tools and answer")
    .argument("[question]", "absent: read from standard input")
    .option(
      "--shots <k>",
      "demonstrations in the prompt (default: as the checkpoint was trained, most before)",
      parseCount("--shots", 0),
    )
    .option(
      "--temperature <t>",
      "0 takes the most probable (default: the recipe's)",
      parseTemperature,
    )
    .option("--seed <n>", "another one may give another answer", parseCount("--seed", 0), 1)
    .option("--json", "one JSON object a line: start, text, tool, end");
  addPolicyOptions(command).action(run);
}

function parseTemperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && (value === 0 || (value >= 0.01 && value <= 100))) return value;
  const hint = "0, or 0.01 to 100";
  throw new UserError(`"${text}" is no value for --temperature`, { hint, exitCode: 2 });
}

async function run(argument: string | undefined, options: Options): Promise<void> {
  const { openQuestion } = await import("../train/open-question.ts");
  const { jsonAsk, peopleAsk } = await import("./screen/ask.ts");
  const { outputOf } = await import("./screen/screen.ts");
  const question = argument ?? (await questionFromInput());
  requireText(question);
  const asked = policyOf(options);
  await using opened = await openQuestion({ ...asked, shots: options.shots });
  const { stdout, env } = process;
  stdout.once("error", () => process.exit(0)); // nobody reads any more
  const screen = options.json
    ? jsonAsk((text) => void stdout.write(text))
    : peopleAsk(outputOf(stdout, env));
  await ask(opened, question, { ...options, policy: policyName(asked, opened.stage) }, screen);
}

interface Ways {
  readonly policy: string;
  readonly temperature?: number;
  readonly seed: number;
}

async function ask(
  { session, step, shots }: OpenedQuestion,
  question: string,
  { policy, temperature = session.recipe.rollout.temperature, seed }: Ways,
  screen: AskScreen,
): Promise<void> {
  const { rollOut } = await import("../rollout/rollout.ts");
  const { AskWatch } = await import("./screen/ask.ts");
  const { tags } = session.prompts;
  const tools = session.world.toolbox.tools.map(({ name }) => name);
  screen.onStart({ policy, step, shots, question, tools, temperature, seed });
  const watch = new AskWatch(screen, session.tokenizer, tags);
  const task = { id: "question", question, golds: [], meta: {} };
  const prompt = session.shotsTemplate(shots).render(question);
  const request = { groupId: "question", stream: 0, sample: 0, task, prompt, watch };
  const start = performance.now();
  const { rollout } = await rollOut(session.engine, request, session.settings(temperature, seed));
  const seconds = (performance.now() - start) / 1000;
  watch.endTurn();
  const { lastAnswer } = await import("../reward/tags.ts");
  screen.onEnd(endOf(rollout, lastAnswer(tags, rollout.policyText), seconds));
}

/** Tools of one turn run at the same time, so the slowest counts. */
function endOf(rollout: Rollout, answer: string | undefined, seconds: number): AskEnd {
  const { turns, finish, promptTokens, tokens_L } = rollout;
  const sampledTokens = turns.reduce((sum, turn) => sum + turn.policyEnd - turn.policyStart, 0);
  const waits = turns.map(({ toolCalls }) =>
    Math.max(0, ...toolCalls.map((call) => call.latencyMs)),
  );
  const samplingSeconds = seconds - waits.reduce((a, b) => a + b, 0) / 1000;
  return {
    finish,
    answer,
    turns: turns.length,
    toolCalls: turns.reduce((sum, { toolCalls }) => sum + toolCalls.length, 0),
    promptTokens,
    sampledTokens,
    observationTokens: tokens_L.length - promptTokens - sampledTokens,
    seconds,
    tokensPerSecond: sampledTokens / Math.max(samplingSeconds, 1e-3),
  };
}

async function questionFromInput(): Promise<string> {
  if (!process.stdin.isTTY) return (await Bun.stdin.text()).trim();
  const hint = 'icrl ask "Who founded Orn?", or pipe one in';
  throw new UserError("no question", { hint, exitCode: 2 });
}

function requireText(question: string): void {
  if (question.trim() !== "") return;
  const hint = 'icrl ask "Who founded Orn?"';
  throw new UserError("the question is empty", { hint, exitCode: 2 });
}
