// A model from a hub into the local Hugging Face cache, in huggingface_hub's own layout, so that
// transformers finds it too. Files appear whole, the revision's name comes last: a pull that was
// killed leaves nothing that looks finished. Not the command: cli/pull.ts.

import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statfsSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../../config/errors.ts";
import { temporaryName, writeFileAtomic } from "../../run/atomic.ts";
import { parseModelConfig } from "../hf-config.ts";
import { fieldError, objectField, parseFields } from "../json-fields.ts";
import { INDEX } from "../model-folder.ts";
import { modelFolderOf, type ModelName } from "./cache.ts";
import { ConnectionError, type HubClient } from "./client.ts";
import { download } from "./download.ts";
import { type HubFile, listRevision, type Revision, settingsOf, weightsOf } from "./listing.ts";

export interface PullProgress {
  readonly file: string;
  /** Of the file. */
  readonly present: number;
  readonly bytes: number;
  /** Waiting for another process that fetches the file. */
  readonly waiting: boolean;
}
export interface PullOptions {
  readonly client: HubClient;
  /** The cache's folder. */
  readonly cache: string;
  readonly onProgress: (progress: PullProgress) => void;
}
export interface Pulled {
  /** The snapshot, a model folder. */
  readonly folder: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

export async function pullModel(model: ModelName, options: PullOptions): Promise<Pulled> {
  try {
    return await pullAll(model, options);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof UserError || code === undefined || syscall === undefined) throw error;
    const hint = "HF_HOME names another folder";
    throw new UserError(`the cache cannot be written (${code})`, { where: options.cache, hint });
  }
}

async function pullAll(model: ModelName, options: PullOptions): Promise<Pulled> {
  const { client, cache } = options;
  const revision = await listRevision(client, model).catch(rethrow(client));
  const folder = modelFolderOf(cache, model.name);
  const snapshot = join(folder, "snapshots", revision.commit);
  const place: Place = { model, revision, folder, snapshot };
  const settings = settingsOf(revision);
  if (!settings.some(({ name }) => name === "config.json"))
    throw new UserError(`${model.name} has no config.json`, {
      hint: "it is no transformers model",
    });
  for (const file of settings) await fetchFile(place, file, options);
  checkSupported(snapshot);
  const weights = weightsOf(revision, model, indexedShards(snapshot, revision));
  checkRoom(folder, weights);
  for (const file of weights) await fetchFile(place, file, options);
  writeRef(place);
  return { folder: snapshot, commit: revision.commit, files: [...settings, ...weights] };
}

interface Place {
  readonly model: ModelName;
  readonly revision: Revision;
  readonly folder: string;
  readonly snapshot: string;
}

const rethrow =
  ({ endpoint }: HubClient) =>
  (error: unknown): never => {
    if (!(error instanceof ConnectionError)) throw error;
    throw new UserError(error.message, { where: endpoint, hint: "try again later" });
  };

async function fetchFile(
  { model, revision, folder, snapshot }: Place,
  file: HubFile,
  { client, onProgress }: PullOptions,
): Promise<void> {
  const { name, bytes, checksum } = file;
  const tell = (present: number, waiting: boolean): void =>
    onProgress({ file: name, present, bytes, waiting });
  await download({
    client,
    file,
    purpose: { ...model, file: name },
    urlPath: `${model.name}/resolve/${revision.commit}/${name}`,
    blob: join(folder, "blobs", checksum),
    onBytes: (present) => tell(present, false),
    onWait: () => tell(0, true),
  });
  link(join(snapshot, name), `../../blobs/${checksum}`);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${temporaryName(path)}${crypto.randomUUID()}`;
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}

/** Before gigabytes are fetched. */
function checkSupported(snapshot: string): void {
  const file = join(snapshot, "config.json");
  parseModelConfig(readFileSync(file, "utf8"), file);
}

function indexedShards(snapshot: string, { files }: Revision): readonly string[] | undefined {
  if (!files.some(({ name }) => name === INDEX)) return undefined;
  const file = join(snapshot, INDEX);
  const index = parseFields(readFileSync(file, "utf8"), file);
  const map = objectField(index, "weight_map");
  if (map === undefined) throw fieldError(index, "weight_map", "is missing");
  const shards = [...new Set(Object.values(map.record))];
  const foreign = shards.find(
    (shard) => typeof shard !== "string" || !shard.endsWith(".safetensors"),
  );
  if (foreign !== undefined)
    throw fieldError(index, "weight_map", `names ${JSON.stringify(foreign)}, no safetensors file`);
  return shards as readonly string[];
}

function checkRoom(folder: string, files: readonly HubFile[]): void {
  const there = ({ checksum }: HubFile): boolean => existsSync(join(folder, "blobs", checksum));
  const needed = files.filter((file) => !there(file)).reduce((sum, { bytes }) => sum + bytes, 0);
  const { bavail, bsize } = statfsSync(folder);
  if (needed <= bavail * bsize) return;
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new UserError(`${gigabytes(needed)} are needed, ${gigabytes(bavail * bsize)} are free`, {
    where: folder,
    hint: "make room, or set HF_HOME to another disk",
  });
}

/** A branch or tag now means this commit. */
function writeRef({ model, revision, folder }: Place): void {
  if (model.revision === revision.commit) return;
  const ref = join(folder, "refs", model.revision);
  mkdirSync(dirname(ref), { recursive: true });
  const known = statSync(ref, { throwIfNoEntry: false })?.isFile() === true;
  if (known && readFileSync(ref, "utf8") === revision.commit) return;
  writeFileAtomic(ref, revision.commit);
}
