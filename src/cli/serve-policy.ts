// `icrl serve policy`: a checkpoint or a model behind OpenAI's API, for evaluation harnesses and
// other programs. What is served is in serve/policy; here it is opened and announced.

import { basename } from "node:path";
import type { Command } from "commander";
import type { ServedPolicy } from "../serve/policy/served-policy.ts";
import { parseCount } from "./options.ts";
import { addPolicyOptions, policyName, policyOf, type PolicyOptions } from "./policy-options.ts";
import {
  type AddressOptions,
  addAddressOptions,
  curlToken,
  serverOptions,
} from "./serve-options.ts";

interface Options extends AddressOptions, PolicyOptions {
  readonly maxConcurrency: number;
  readonly name?: string;
}

const MAX_BODY_BYTES = 2 ** 26;

export function register(serve: Command): void {
  const command = serve
    .command("policy")
    .description("a checkpoint or a model for others: OpenAI's completions and chat completions")
    .option("--name <name>", "by which clients ask for it (default: run@stage, or the model's)")
    .option(
      "--max-concurrency <n>",
      "sequences that are sampled at once; more wait",
      parseCount("--max-concurrency", 1),
      128,
    );
  addAddressOptions(addPolicyOptions(command), 8001).action(run);
}

async function run(options: Options): Promise<void> {
  const { policyRoutes } = await import("../serve/policy/routes.ts");
  const { PolicyService } = await import("../serve/policy/service.ts");
  const { serveUntilSignal, startServer } = await import("../serve/server.ts");
  const settings = serverOptions(options, MAX_BODY_BYTES, process.env);
  using opened = await openServed(options);
  using service = new PolicyService(opened.served, options.maxConcurrency);
  const server = startServer(policyRoutes(service), settings);
  const { name, context, template } = opened.served;
  const chat = template === undefined ? "no chat template: completions only" : "chat";
  const body = JSON.stringify({ model: name, prompt: "Question: ", max_tokens: 20 });
  const curl = `curl -s ${server.url}/v1/completions${curlToken(settings)}`;
  const json = `-H "Content-Type: application/json" -d '${body}'`;
  const line = `${opened.title} as ${name} at ${server.url}/v1 (context ${context}, ${chat})`;
  process.stdout.write(`${line}\n  ${curl} ${json}\n`);
  await serveUntilSignal(server, (text) => void process.stderr.write(`${text}\n`));
}

interface OpenedServed extends Disposable {
  readonly served: ServedPolicy;
  readonly title: string;
}

async function openServed(options: Options): Promise<OpenedServed> {
  const { policyAsked } = await import("../train/policy-asked.ts");
  const { openPolicy } = await import("../train/open-policy.ts");
  const { readChatTemplate } = await import("../model/chat-template.ts");
  const asked = policyOf(options);
  const { stage, step, recipe, weights } = policyAsked(asked);
  const template = readChatTemplate(weights);
  const opened = openPolicy(recipe.policy, weights);
  const { policy, engine, tokenizer, maxSequence: context } = opened;
  const whole = policyName(asked, stage);
  const name = options.name ?? basename(whole);
  const { max_turn_tokens: maxTurnTokens } = recipe.rollout;
  const served = { name, policy, engine, tokenizer, template, context, maxTurnTokens };
  const title = asked.run === undefined ? whole : `${whole} (step ${step})`;
  return { served, title, [Symbol.dispose]: () => opened[Symbol.dispose]() };
}
