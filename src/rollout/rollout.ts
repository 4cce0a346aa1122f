// One multi-turn rollout, token-in token-out: what was sampled is what is kept, and text exists
// only to find the end of a turn, for tools and for people. A turn ends at a closing tag, a stop
// text, an end token or a limit; an end token that was sampled stays in the rollout, so that ending
// is trained. Where turns are messages, an end token ends one, and its calls are made at once. A limit ends the rollout with its reason: nothing is ever cut to fit. Not here: many
// rollouts at once (batch.ts), rewards.

import type { FinishReason, Rollout, Task, ToolCall } from "../types.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { TagProfile } from "../reward/tags.ts";
import type { Toolbox } from "../tools/toolbox.ts";
import type { EngineSequence, RolloutEngine, Transcript } from "./engine.ts";
import type { Prompt } from "./template.ts";
import type { ToolFrame } from "../model/chat-template.ts";
import { type ParsedCall, parseTurn } from "../reward/turn.ts";
import { refusedCall } from "../tools/tool.ts";
import { RolloutDraft } from "./draft.ts";
import { ObservationWriter } from "./observation.ts";
import { chatLayout, type Observation, type PolicyTurn, tagLayout } from "./observation-layout.ts";
import { StopScanner } from "./stop-scanner.ts";

export interface RolloutLimits {
  readonly maxCalls: number; // of all turns; a turn that would exceed it ends the rollout
  readonly maxTurnTokens: number; // sampled tokens of one turn
  readonly maxNewTokens: number; // sampled tokens of all turns
  readonly context: number; // prompt, sampled tokens and observations
}

export interface RolloutSettings {
  readonly tokenizer: Tokenizer;
  readonly tags: TagProfile;
  /** The model's messages of tools; needed where turns are messages. */
  readonly toolFrame?: ToolFrame | undefined;
  readonly toolbox: Toolbox;
  readonly limits: RolloutLimits;
  readonly stopTexts: readonly string[]; // beside the tags that end a turn
  readonly temperature: number;
  readonly seed: number;
}

export interface RolloutRequest {
  readonly groupId: string;
  /** Names the group's noise: different for every group sampled under one seed. */
  readonly stream: number;
  readonly sample: number;
  readonly task: Task;
  readonly prompt: Prompt;
  readonly watch?: RolloutWatch | undefined;
}

/** Sees a rollout grow. It changes nothing, and must not throw. */
export interface RolloutWatch {
  /** As soon as the policy has sampled it; an end token too. */
  onToken(id: number): void;
  /** A turn's calls, and what the policy reads of them, or undefined where that has no room. */
  onCalls(calls: readonly ToolCall[], observation: Observation | undefined): void;
}

/** A rollout, and the engine's own account of it. */
export interface RolloutRecord {
  readonly rollout: Rollout;
  readonly transcript: Transcript;
}

export async function rollOut(
  engine: RolloutEngine,
  request: RolloutRequest,
  settings: RolloutSettings,
  observations: ObservationWriter = observationWriter(settings),
): Promise<RolloutRecord> {
  const room = settings.limits.context - request.prompt.numTokens;
  const draft = new RolloutDraft(request);
  if (room <= 0) return { rollout: draft.finish("context"), transcript: draft.promptTranscript() };
  using sequence = engine.open(request.prompt.runs, Math.min(room, maxAdded(settings)));
  const player = new Player(sequence, draft, request, settings, observations);
  let finish: FinishReason | undefined;
  while (finish === undefined) finish = await player.turn();
  return { rollout: draft.finish(finish), transcript: sequence.transcript() };
}

/** Tokens that may follow a prompt, sampled or observed. */
function maxAdded({ limits: { maxNewTokens, maxCalls }, toolbox }: RolloutSettings): number {
  const each = toolbox.tools.map(({ name }) => toolbox.maxObservationTokens(name));
  return maxNewTokens + maxCalls * Math.max(...each);
}

/** Throws a UserError when the limit on observations is too small for their tags. */
export function observationWriter(settings: RolloutSettings): ObservationWriter {
  const { tokenizer, tags, toolbox, toolFrame } = settings;
  if (tags.chat && toolFrame === undefined) throw new Error("messages of tools need a template");
  const layout =
    toolFrame !== undefined && tags.chat
      ? chatLayout(tokenizer, toolFrame, tags)
      : tagLayout(tokenizer, tags);
  return new ObservationWriter(tokenizer, layout, { toolbox, maxChars: tags.maxResultChars });
}

type TurnEnd = "end_token" | "tag" | "stop_text" | "limit";

/** Plays one rollout, turn by turn. */
class Player {
  private readonly scanner: StopScanner;
  private end: TurnEnd = "limit";

  constructor(
    private readonly sequence: EngineSequence,
    private readonly draft: RolloutDraft,
    private readonly request: RolloutRequest,
    private readonly settings: RolloutSettings,
    private readonly observations: ObservationWriter,
  ) {
    const { tags, stopTexts } = settings;
    this.scanner = new StopScanner([...tags.stops.map(({ text }) => text), ...stopTexts]);
  }

  /**
   * One turn of the policy, and the observation that it asked for. The reason why the rollout ends,
   * or undefined.
   */
  async turn(): Promise<FinishReason | undefined> {
    const turn = await this.sampleTurn();
    if (this.end === "limit") return this.reachedLimit() ?? "max_turn_tokens";
    if (this.end === "stop_text") return "stop_text";
    const parsed = parseTurn(this.settings.tags, turn.text);
    if (parsed.kind === "answer") return "answer";
    if (parsed.kind === "none") return "eos";
    const { maxCalls } = this.settings.limits;
    if (this.draft.numCalls + parsed.calls.length > maxCalls) return "max_turns";
    const limit = this.reachedLimit();
    if (limit !== undefined) return limit;
    return this.observe(await Promise.all(parsed.calls.map((each) => this.call(each))), turn);
  }

  private async sampleTurn(): Promise<PolicyTurn> {
    const { temperature, seed, limits } = this.settings;
    const { stream: group, sample } = this.request;
    this.scanner.clear();
    this.end = "limit";
    const left = Math.min(
      limits.maxNewTokens - this.draft.numSampled,
      limits.context - this.draft.length,
    );
    const maxTokens = Math.min(limits.maxTurnTokens, left);
    const shouldStop = (id: number): boolean => this.endsTurn(id);
    const sampled = await this.sequence.generate({
      maxTokens,
      temperature,
      seed,
      group,
      sample,
      shouldStop,
    });
    const text = this.scanner.text();
    this.draft.addTurn(sampled, text);
    return { text, lastId: sampled.ids_N.at(-1)! };
  }

  private endsTurn(id: number): boolean {
    this.request.watch?.onToken(id);
    const { tokenizer, tags } = this.settings;
    if (tokenizer.eosIds.includes(id)) {
      this.end = "end_token";
      return true;
    }
    const stop = this.scanner.push(bytesOf(tokenizer, id));
    if (stop >= 0) this.end = stop < tags.stops.length ? "tag" : "stop_text";
    return stop >= 0;
  }

  /** The limit on the whole rollout that leaves no room for another token. */
  private reachedLimit(): FinishReason | undefined {
    const { limits } = this.settings;
    if (this.draft.numSampled >= limits.maxNewTokens) return "max_new_tokens";
    return this.draft.length >= limits.context ? "context" : undefined;
  }

  private async call({ tool, input, fault }: ParsedCall): Promise<ToolCall> {
    if (fault !== undefined) return refusedCall(tool, input, "invalid_call", fault);
    return this.settings.toolbox.call(tool, input);
  }

  private observe(calls: readonly ToolCall[], turn: PolicyTurn): FinishReason | undefined {
    const outputs = calls.map(({ tool, result }) => ({ tool, text: result.text }));
    const observation = this.observations.write(outputs, turn);
    const fits = this.draft.length + observation.tokens.length < this.settings.limits.context;
    this.draft.addCalls(calls, fits ? observation : undefined);
    this.request.watch?.onCalls(calls, fits ? observation : undefined);
    if (!fits) return "context";
    this.sequence.append(observation.tokens);
    return undefined;
  }
}

const NO_BYTES = new Uint8Array(0);

/** A vocabulary may be padded with ids that no token has; they say nothing. */
function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array {
  return id < tokenizer.vocabSize ? tokenizer.tokenBytes(id) : NO_BYTES;
}
