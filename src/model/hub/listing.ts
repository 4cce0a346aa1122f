// What a revision of a model holds, as the hub's API lists it, and which of it a model needs:
// config, tokenizer, chat template, safetensors; never pickled weights. Names and checksums become
// paths on the disk, so they are checked here.

import { UserError } from "../../config/errors.ts";
import { isRecord } from "../json-fields.ts";
import { INDEX, SINGLE } from "../model-folder.ts";
import { COMMIT, type ModelName } from "./cache.ts";
import { type HubClient, request } from "./client.ts";

export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of a large file, or git's SHA-1 of a small one; the blob's name on the disk. */
  readonly checksum: string;
}
export interface Revision {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const SETTINGS: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  INDEX,
];

export async function listRevision(client: HubClient, model: ModelName): Promise<Revision> {
  const path = `api/models/${model.name}/revision/${encodeURIComponent(model.revision)}?blobs=true`;
  const response = await request(client, path, model);
  const where = `${client.endpoint}/${path}`;
  const listing: unknown = await response.json().catch(() => undefined);
  const { sha, siblings } = isRecord(listing) ? listing : {};
  if (typeof sha !== "string" || !COMMIT.test(sha) || !Array.isArray(siblings))
    throw new UserError("the hub's answer is no list of a model's files", { where });
  const files = siblings.filter(isPlain).map((sibling) => parseFile(sibling, where));
  return { commit: sha, files };
}

/** Config, tokenizer and the like; small, and fetched first. */
export function settingsOf({ files }: Revision): readonly HubFile[] {
  return files.filter(({ name }) => SETTINGS.includes(name));
}

/** `indexed`: the shards that the index names, where there is one. */
export function weightsOf(
  { files }: Revision,
  model: ModelName,
  indexed: readonly string[] | undefined,
): readonly HubFile[] {
  const known = new Map(files.map((file) => [file.name, file]));
  const names = known.has(SINGLE) ? [SINGLE] : (indexed ?? []);
  const missing = names.find((name) => !known.has(name));
  if (missing !== undefined)
    throw new UserError(`${INDEX} names ${missing}, which the hub does not have`, {
      where: model.name,
    });
  if (names.length > 0) return names.map((name) => known.get(name)!);
  const pickled = files.some(({ name }) => name.endsWith(".bin"));
  throw new UserError(`${model.name} has ${pickled ? "only pickled weights" : "no weights"}`, {
    hint: "icrl reads safetensors",
  });
}

interface Sibling {
  readonly rfilename: string;
  readonly size?: unknown;
  readonly blobId?: unknown;
  readonly lfs?: unknown;
}

/** A file of the model's own folder; anything below or elsewhere is not looked at. */
function isPlain(value: unknown): value is Sibling {
  const name = isRecord(value) ? value["rfilename"] : undefined;
  return typeof name === "string" && /^\w[\w.-]*$/.test(name);
}

function parseFile({ rfilename: name, size, blobId, lfs }: Sibling, where: string): HubFile {
  const large = isRecord(lfs) ? lfs : undefined;
  const bytes = large?.["size"] ?? size;
  const checksum = large?.["sha256"] ?? blobId;
  const known = typeof checksum === "string" && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(checksum);
  if (known && Number.isSafeInteger(bytes) && (bytes as number) >= 0)
    return { name, bytes: bytes as number, checksum };
  throw new UserError(`the hub gives no size and checksum of ${name}`, { where });
}
