// The local Hugging Face cache: where it is, and which folder a model's name means in it. Its
// layout is huggingface_hub's: models--OWNER--NAME/{blobs,refs,snapshots}, a snapshot's files being
// links to blobs. Only looked up here; pull.ts fills it.

import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../config/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ModelName {
  /** "Qwen/Qwen2.5-3B-Instruct". */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

export const DEFAULT_REVISION = "main";
const PART = "[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?";
const NAME = new RegExp(`^${PART}(?:/${PART})?$`);
const REVISION = /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/;
export const COMMIT = /^[0-9a-f]{40}$/;

/** "OWNER/NAME" or "OWNER/NAME@REVISION"; undefined where it can be no model's name. */
export function parseModelName(text: string): ModelName | undefined {
  const [name = "", revision = DEFAULT_REVISION, ...more] = text.split("@");
  const valid = NAME.test(name) && !/--|\.\./.test(name) && more.length === 0;
  if (!valid || !REVISION.test(revision) || revision.includes("..")) return undefined;
  return { name, revision };
}

/** As huggingface_hub finds it. */
export function cacheFolder(environment: Environment): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = environment;
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(homeOf(environment), "hub");
}

/** HF_TOKEN, else the file that `hf auth login` wrote. */
export function hubToken(environment: Environment): string | undefined {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH } = environment;
  const given = HF_TOKEN || HUGGING_FACE_HUB_TOKEN;
  const file = HF_TOKEN_PATH || join(homeOf(environment), "token");
  const token = given ?? (existsSync(file) ? readFileSync(file, "utf8") : "");
  return token.trim() || undefined;
}

function homeOf({ HF_HOME, XDG_CACHE_HOME }: Environment): string {
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
}

export const modelFolderOf = (cache: string, name: string): string =>
  join(cache, `models--${name.replace("/", "--")}`);

/** The folder of a snapshot, whether or not everything is in it; undefined without one. */
export function cachedSnapshot(cache: string, { name, revision }: ModelName): string | undefined {
  const folder = modelFolderOf(cache, name);
  const ref = join(folder, "refs", revision);
  const commit = existsSync(ref) && statSync(ref).isFile() ? readFileSync(ref, "utf8") : revision;
  const snapshot = join(folder, "snapshots", commit.trim());
  return COMMIT.test(commit.trim()) && existsSync(snapshot) ? snapshot : undefined;
}

/** What a recipe's `policy.model` or `--model` means: a folder, or a name in the cache. */
export function resolveModel(nameOrFolder: string, environment: Environment = process.env): string {
  if (existsSync(nameOrFolder)) return nameOrFolder;
  const model = parseModelName(nameOrFolder);
  const hint = "give a folder with config.json and safetensors files, or a name such as OWNER/NAME";
  if (model === undefined)
    throw new UserError("no such model folder", { where: nameOrFolder, hint });
  const cache = cacheFolder(environment);
  const snapshot = cachedSnapshot(cache, model);
  if (snapshot !== undefined) return snapshot;
  throw new UserError(`no folder ${nameOrFolder}, and no such model in the Hugging Face cache`, {
    where: cache,
    hint: `fetch it with: icrl pull ${pullArguments(model)}`,
  });
}

function pullArguments({ name, revision }: ModelName): string {
  return revision === DEFAULT_REVISION ? name : `${name} --revision ${revision}`;
}
