// How a model writes prompts for a recipe, without its weights: its tokenizer, the recipe's tag
// profile made for its tools, and what its chat template puts around messages.

import { UserError } from "../config/errors.ts";
import type { Recipe } from "../config/recipe.ts";
import type { FolderSource } from "../model/byte-source.ts";
import {
  type FrameOptions,
  readChatTemplate,
  toolFrame,
  writesCallsWith,
} from "../model/chat-template.ts";
import type { ToolFrame } from "../model/chat-template.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { frameTokens, openTokenizer } from "../model/tokenizer-folder.ts";
import { type TagProfile, tagProfile, type ToolTag } from "../reward/tags.ts";
import type { PromptFrame } from "../rollout/template.ts";
import type { Tool } from "../tools/tool.ts";
import type { Toolbox } from "../tools/toolbox.ts";
import { modelFolder } from "./models.ts";
import { closedToolbox } from "./open-tool.ts";

export interface PromptModel {
  readonly tokenizer: Tokenizer;
  readonly tags: TagProfile;
  readonly frame: PromptFrame;
  /** Of a prompt that offers no tools. */
  readonly frameWithoutTools: PromptFrame;
  /** Where turns are messages: around what tools answer. */
  readonly toolFrame: ToolFrame | undefined;
}

/** Throws UserError where the model's folder has not what the recipe's tag profile needs. */
export function promptModel(
  folder: FolderSource,
  tokenizer: Tokenizer,
  { tags: name }: Pick<Recipe, "tags">,
  toolbox: Toolbox,
): PromptModel {
  const tags = tagProfile(name, toolTags(toolbox));
  const frameWithoutTools = frameTokens(folder, tokenizer);
  const plain = { tokenizer, tags, frameWithoutTools };
  if (!tags.chat) return { ...plain, frame: frameWithoutTools, toolFrame: undefined };
  const given = { tools: toolbox.tools.map(functionOf) };
  const frame = frameTokens(folder, tokenizer, given);
  return { ...plain, frame, toolFrame: readToolFrame(folder, tags, given) };
}

/** Before any tool is opened: those of an MCP server stand for one. */
export function openPromptModel(recipe: Recipe): PromptModel {
  const folder = modelFolder(recipe.policy);
  return promptModel(folder, openTokenizer(folder), recipe, closedToolbox(recipe));
}

/** As tag profiles take them. */
export function toolTags({ tools, tags }: Toolbox): ToolTag[] {
  return tools.map(({ name, spec: { textParameter } }, i) => {
    const tool = { name, tag: tags[i]!.tag };
    return textParameter === undefined ? tool : { ...tool, textParameter };
  });
}

/** As chat templates take them. */
function functionOf({ name, spec: { description, parameters } }: Tool) {
  return { type: "function", function: { name, description, parameters } };
}

function readToolFrame(folder: FolderSource, tags: TagProfile, given: FrameOptions): ToolFrame {
  const template = readChatTemplate(folder);
  const { open } = tags.calls[0]!.tags;
  if (template !== undefined && writesCallsWith(template, open)) return toolFrame(template, given);
  const has = template === undefined ? "has no chat template" : "writes calls otherwise";
  const what = `the model ${has}: the tag profile ${tags.name} needs one with ${open}`;
  const hint = "take a model that has, such as Qwen's, or tags: icrl";
  throw new UserError(what, { where: template?.file ?? folder.name, hint });
}
