// The toolbox of a recipe: every tool opened, with its limits and its recording. What can't work is
// an error here, before a run begins. How a kind is opened stands in tool-kinds.ts.

import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import { tagWord, type ToolRecipe } from "../config/tool-recipe.ts";
import { memoryOf, type Memory, type RecordableTool } from "../tools/recorded.ts";
import { Recording } from "../tools/recording.ts";
import { textSpec, type Tool } from "../tools/tool.ts";
import { Toolbox, type ToolboxEntry, type ToolLimits } from "../tools/toolbox.ts";
import { openKind } from "./tool-kinds.ts";

/** Throws UserError where a tool can't work. The caller closes it. */
export async function openToolbox(recipe: Recipe): Promise<Toolbox> {
  await using stack = new AsyncDisposableStack();
  const recordings = stack.use(new Recordings(recipe.replay));
  const entries: ToolboxEntry[] = [];
  for (const [name, spec] of Object.entries(recipe.tool)) {
    const found = recordings.of(name, spec);
    for (const tool of await openKind({ name, spec, recipe, ...found })) {
      stack.defer(async () => tool[Symbol.asyncDispose]?.());
      const tag = tagWord(tool.name, Object.hasOwn(recipe.tool, tool.name) ? spec : {});
      const memory = memoryFor(tool, found);
      entries.push({ tool, limits: limitsOf(spec), tag, memory });
    }
  }
  refuseSameNames(entries);
  const { own } = recordings;
  const toolbox = new Toolbox(entries, { seed: recipe.seed, ...(own && { recording: own }) });
  stack.move(); // the toolbox closes them
  return toolbox;
}

/** Tools by the names of the recipe's that are never called; nothing is opened. */
export function closedToolbox({ tool }: Recipe): Toolbox {
  const call = (): never => {
    throw new Error("a closed tool is not called");
  };
  const entries = Object.entries(tool).map(([name, spec]) => ({
    tool: { name, spec: textSpec("", "input", ""), call },
    limits: limitsOf(spec),
    tag: tagWord(name, spec),
  }));
  return new Toolbox(entries);
}

export function limitsOf(spec: ToolRecipe): ToolLimits {
  const { deadline_ms: deadlineMs, retries, backoff_ms: backoffMs, breaker } = spec;
  return {
    policy: { deadlineMs, retries, backoffMs },
    concurrency: spec.concurrency,
    breaker: { failures: breaker.failures, cooldownMs: breaker.cooldown_ms },
    maxObservationTokens: spec.max_observation_tokens,
  };
}

/** What of a tool's answers is kept, and where from. */
interface FoundRecording {
  readonly recording: Recording | undefined;
  readonly isReplay: boolean;
}

function memoryFor(tool: Tool, { recording, isReplay }: FoundRecording): Memory | undefined {
  if (recording === undefined) return undefined;
  return memoryOf(tool as RecordableTool, recording, isReplay ? "replay" : "record");
}

/** Each file once. */
class Recordings implements Disposable {
  /** The run's; none in a replay. */
  readonly own: Recording | undefined;
  private readonly files = new Map<string, Recording>();
  private readonly replay: Recording | undefined;

  constructor(replay: string | undefined) {
    this.own = replay === undefined ? Recording.inMemory() : undefined;
    this.replay = replay === undefined ? undefined : Recording.openToReplay(replay);
  }

  of(name: string, spec: ToolRecipe): FoundRecording {
    if (!("recording" in spec)) return { recording: undefined, isReplay: false };
    if (this.replay !== undefined && (spec.recording !== false || spec.kind !== "command")) {
      requireRecorded(name, spec.recording);
      return { recording: this.replay, isReplay: true };
    }
    const recording = spec.recording === false ? undefined : this.keptIn(spec.recording);
    return { recording, isReplay: false };
  }

  private keptIn(place: true | string): Recording | undefined {
    if (place === true) return this.own;
    const file = this.files.get(place) ?? Recording.open(place);
    this.files.set(place, file);
    return file;
  }

  [Symbol.dispose](): void {
    for (const each of [this.own, this.replay, ...this.files.values()]) each?.[Symbol.dispose]();
  }
}

function requireRecorded(name: string, recording: boolean | string): void {
  if (recording !== false) return;
  const hint = `record a run with tool.${name}.recording: true, or leave the tool out: =null`;
  throw new UserError(`a replay asks nobody, and tool ${name} is not recorded`, {
    where: `tool.${name}.recording`,
    hint,
  });
}

function refuseSameNames(entries: readonly ToolboxEntry[]): void {
  const names = entries.map(({ tool }) => tool.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  const hint = "choose an MCP server's tools with `tools: [...]`";
  throw new UserError(`two tools are named ${twice}`, { where: "tool", hint });
}
