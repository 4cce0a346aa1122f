import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../src/config/errors.ts";
import { openFolder } from "../../src/model/model-folder.ts";
import {
  cachedSnapshot,
  cacheFolder,
  hubToken,
  parseModelName,
  resolveModel,
} from "../../src/model/hub/cache.ts";
import { hubClient, type HubClient } from "../../src/model/hub/client.ts";
import { pullModel, type PullProgress } from "../../src/model/hub/pull.ts";
import { gitSha1, type HubModel, HubServer, sha256 } from "../helpers/hub-server.ts";
import { goldenPath } from "../helpers/folders.ts";

setDefaultTimeout(30_000);

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const NAME = "acme/Tiny-1.5B";
const model = { name: NAME, revision: "main" };
const SHARD = "model-00002-of-00002.safetensors";

const read = (folder: string, file: string): Uint8Array => readFileSync(join(folder, file));
const source = goldenPath("llama3-untied-shards");
const files: Record<string, Uint8Array> = {
  ...Object.fromEntries(
    readdirSync(source)
      .filter((file) => !file.startsWith("golden") && file !== "config.other.json")
      .map((file) => [file, read(source, file)]),
  ),
  "README.md": new TextEncoder().encode("not needed"),
  "pytorch_model.bin": new Uint8Array(9000),
  "tokenizer_config.json": new TextEncoder().encode("{}"),
};
const needed = Object.keys(files).filter((file) => !/README|\.bin$/.test(file));
const hubModel: HubModel = { commit: COMMIT, files, lfsBytes: 4000 };

let cache: string;
let server: HubServer;
let client: HubClient;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "icrl-hub-"));
  server = new HubServer({ [NAME]: hubModel });
  client = { endpoint: server.endpoint, token: undefined, idleMs: 10_000, waitMs: () => 1 };
});
afterEach(() => {
  server[Symbol.dispose]();
  rmSync(cache, { recursive: true });
});

const pull = (change: Partial<HubClient> = {}, onProgress: (it: PullProgress) => void = () => {}) =>
  pullModel(model, {
    client: { ...client, ...change },
    cache,
    onProgress: (progress) => {
      server.hangUp(progress.present);
      onProgress(progress);
    },
  });

async function refused(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  const line = (error as UserError).describe();
  expect(line).not.toContain("\n");
  return line.replaceAll(server.endpoint, "HUB").replaceAll(cache, "CACHE");
}

const blobs = (): string[] => readdirSync(join(cache, "models--acme--Tiny-1.5B", "blobs"));
const rangesOf = (file: string) =>
  server.requests
    .filter(({ server: by, path }) => by === "cdn" && path.endsWith(sha256(files[file]!)))
    .map(({ range }) => range);

describe("a pull", () => {
  test("fetches what a model needs, in the layout of huggingface_hub", async () => {
    const { folder, commit } = await pull();
    expect(commit).toBe(COMMIT);
    const base = join(cache, "models--acme--Tiny-1.5B");
    expect(folder).toBe(join(base, "snapshots", COMMIT));
    expect(readdirSync(folder).toSorted()).toEqual(needed.toSorted());
    for (const file of needed) {
      const bytes = files[file]!;
      const sum = bytes.length >= 4000 ? sha256(bytes) : gitSha1(bytes);
      expect(lstatSync(join(folder, file)).isSymbolicLink()).toBe(true);
      expect(readlinkSync(join(folder, file))).toBe(`../../blobs/${sum}`);
      expect(Buffer.compare(read(folder, file), bytes)).toBe(0);
    }
    expect(readFileSync(join(base, "refs", "main"), "utf8")).toBe(COMMIT);
    expect(blobs()).toHaveLength(needed.length);
    openFolder(folder)[Symbol.dispose]();
  });

  test("a second time asks for the list alone", async () => {
    await pull();
    server.requests.length = 0;
    await pull();
    expect(server.requests).toHaveLength(1);
  });

  test("sends the token to the hub, and not to its CDN", async () => {
    await pull({ token: "secret" });
    const tokens = (by: string) =>
      new Set(server.requests.filter(({ server: it }) => it === by).map((it) => it.authorization));
    expect([...tokens("hub")]).toEqual(["Bearer secret"]);
    expect([...tokens("cdn")]).toEqual([null]);
  });

  test("goes on where a cut has stopped it, as often as bytes come", async () => {
    const cuts = [100, 200, 300, 400, 500, 600, 700].map(
      (after) => ({ kind: "cut", after }) as const,
    );
    server.plant(SHARD, ...cuts);
    const { folder } = await pull();
    expect(Buffer.compare(read(folder, SHARD), files[SHARD]!)).toBe(0);
    expect(rangesOf(SHARD)).toEqual(
      [null, 100, 300, 600, 1000, 1500, 2100, 2800].map((at) =>
        at === null ? null : `bytes=${at}-`,
      ),
    );
  });

  test("cuts a silent connection and goes on", async () => {
    server.plant(SHARD, { kind: "silence", after: 500 });
    const { folder } = await pull({ idleMs: 200 });
    expect(Buffer.compare(read(folder, SHARD), files[SHARD]!)).toBe(0);
    expect(rangesOf(SHARD)).toEqual([null, "bytes=500-"]);
  });

  test("goes on with what an earlier pull left", async () => {
    const nothing = Array.from({ length: 9 }, () => ({ kind: "cut", after: 0 }) as const);
    server.plant(SHARD, { kind: "cut", after: 1234 }, ...nothing);
    expect(await refused(pull())).toMatch(
      /^model-00002-of-00002\.safetensors: .* - what has come is kept/,
    );
    expect(blobs().filter((name) => name.endsWith(".icrl.incomplete"))).toHaveLength(1);
    server.plant(SHARD);
    server.requests.length = 0;
    const { folder } = await pull();
    expect(rangesOf(SHARD)).toEqual(["bytes=1234-"]);
    expect(Buffer.compare(read(folder, SHARD), files[SHARD]!)).toBe(0);
    expect(blobs()).toHaveLength(needed.length);
  });

  test("starts again where the server knows no ranges", async () => {
    server.plant(SHARD, { kind: "cut", after: 1000 }, { kind: "no ranges" });
    const { folder } = await pull();
    expect(Buffer.compare(read(folder, SHARD), files[SHARD]!)).toBe(0);
  });

  test("fetches a file again whose checksum is wrong, once", async () => {
    server.plant(SHARD, { kind: "flip" });
    const { folder } = await pull();
    expect(Buffer.compare(read(folder, SHARD), files[SHARD]!)).toBe(0);
    rmSync(join(cache, "models--acme--Tiny-1.5B"), { recursive: true });
    server.plant(SHARD, { kind: "flip" }, { kind: "flip" });
    expect(await refused(pull())).toMatch(
      /^the checksum of model-00002-of-00002\.safetensors is wrong \(HUB\) - [0-9a-f]{12}\.\.\. came instead of/,
    );
    expect(blobs().some((name) => name.startsWith(sha256(files[SHARD]!)))).toBe(false);
    expect(cachedSnapshot(cache, model)).toBeUndefined();
  });

  test("waits when the hub asks it to, and gives up in one line", async () => {
    const busy = { kind: "status", status: 429, headers: { "retry-after": "0.01" } } as const;
    server.plant("config.json", busy, busy);
    await pull();
    rmSync(join(cache, "models--acme--Tiny-1.5B"), { recursive: true });
    server.plant("config.json", ...Array.from({ length: 9 }, () => busy));
    expect(await refused(pull())).toStartWith(
      "config.json: the hub has had too many requests (429) (HUB)",
    );
  });

  test("of two at once, one fetches and both have it", async () => {
    server.plant(SHARD, { kind: "silence", after: 10 });
    const waited: string[] = [];
    const first = pull({ idleMs: 1500 });
    while (!rangesOf(SHARD).length) await Bun.sleep(10);
    const second = pull({}, ({ waiting, file }) => void (waiting && waited.push(file)));
    const [a, b] = await Promise.all([first, second]);
    expect(a.folder).toBe(b.folder);
    expect(waited).toEqual([SHARD]);
    expect(rangesOf(SHARD)).toEqual([null, "bytes=10-"]);
    expect(blobs()).toHaveLength(needed.length);
  });

  test("of a full disk is one line, and what came stays", async () => {
    const folder = join(cache, "models--acme--Tiny-1.5B", "blobs");
    mkdirSync(folder, { recursive: true });
    symlinkSync("/dev/full", join(folder, `${sha256(files[SHARD]!)}.icrl.incomplete`));
    expect(await refused(pull())).toBe(
      `the disk is full (${SHARD}) (CACHE/models--acme--Tiny-1.5B/blobs) - ` +
        "make room, or set HF_HOME to another disk; the same command goes on from there",
    );
  });

  test("into a cache that cannot be written is one line", async () => {
    writeFileSync(join(cache, "file"), "");
    const pulled = pullModel(model, { client, cache: join(cache, "file"), onProgress: () => {} });
    expect(await refused(pulled)).toBe(
      "the cache cannot be written (ENOTDIR) (CACHE/file) - HF_HOME names another folder",
    );
  });

  test("of a commit writes no branch", async () => {
    await pullModel({ name: NAME, revision: COMMIT }, { client, cache, onProgress: () => {} });
    expect(existsSync(join(cache, "models--acme--Tiny-1.5B", "refs"))).toBe(false);
    expect(cachedSnapshot(cache, { name: NAME, revision: COMMIT })).toEndWith(COMMIT);
  });

  test("reports each file from its start to its end", async () => {
    const seen = new Map<string, number>();
    await pull({}, ({ file, present }) => void seen.set(file, present));
    expect(Object.fromEntries(seen)).toEqual(
      Object.fromEntries(needed.map((file) => [file, files[file]!.length])),
    );
  });
});

const STATUSES: readonly [string, number, string | undefined, string | undefined, string][] = [
  [
    "a gated model",
    401,
    "GatedRepo",
    undefined,
    `${NAME} is gated (HUB/${NAME}) - accept its terms there, then set HF_TOKEN`,
  ],
  [
    "a gated model, with a token",
    403,
    "GatedRepo",
    "t",
    `${NAME} is gated (HUB/${NAME}) - accept its terms there, then use a token of that account in HF_TOKEN`,
  ],
  [
    "an unknown or private model",
    401,
    "RepoNotFound",
    undefined,
    `without a token the hub shows no model ${NAME} (HUB/${NAME}) - check the name; for a private model set HF_TOKEN`,
  ],
  [
    "a wrong token",
    401,
    undefined,
    "t",
    `the hub does not know the token (401) (HUB/${NAME}) - check HF_TOKEN and the name`,
  ],
  [
    "a token without the right",
    403,
    undefined,
    "t",
    `the token may not read ${NAME} (403) (HUB/${NAME}) - check HF_TOKEN and the name`,
  ],
  [
    "no such model",
    404,
    "RepoNotFound",
    "t",
    `the hub has no model ${NAME} (HUB/${NAME}) - check the name`,
  ],
  [
    "no such revision",
    404,
    "RevisionNotFound",
    undefined,
    `${NAME} has no revision main (HUB/${NAME})`,
  ],
  [
    "too many requests",
    429,
    undefined,
    undefined,
    "the hub has had too many requests (429) (HUB) - try again later",
  ],
  ["a broken hub", 503, undefined, undefined, "the hub answers 503 (HUB) - try again later"],
  ["an odd answer", 418, undefined, undefined, `the hub answers 418 (HUB/${NAME})`],
];
for (const [name, status, code, token, message] of STATUSES) {
  test(`${name} is one line`, async () => {
    const headers = code === undefined ? {} : { "x-error-code": code };
    server.plant("listing", { kind: "status", status, headers });
    expect(await refused(pull({ token }))).toBe(message);
    expect(readdirSync(cache)).toEqual([]);
  });
}

const withFiles = (change: Record<string, Uint8Array | string | undefined>): HubModel => {
  const all = { ...files, ...change };
  const encoded = Object.entries(all).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [[name, typeof value === "string" ? new TextEncoder().encode(value) : value] as const],
  );
  return { ...hubModel, files: Object.fromEntries(encoded) };
};
const INDEX = "model.safetensors.index.json";
const MODELS: readonly [string, HubModel, RegExp][] = [
  [
    "an unsupported architecture",
    withFiles({ "config.json": '{"model_type": "mamba"}' }),
    /model_type "mamba" is not supported/,
  ],
  ["no config", withFiles({ "config.json": undefined }), /has no config\.json/],
  [
    "pickled weights only",
    withFiles({ [INDEX]: undefined }),
    /^acme\/Tiny-1\.5B has only pickled weights - icrl reads safetensors/,
  ],
  [
    "a shard that is not there",
    withFiles({ [SHARD]: undefined }),
    /names model-00002-of-00002\.safetensors, which the hub does not have/,
  ],
  [
    "an index that leads elsewhere",
    withFiles({ [INDEX]: '{"weight_map": {"a": "../../x.safetensors"}}' }),
    /names \.\.\/\.\.\/x\.safetensors, which the hub does not have/,
  ],
  [
    "an index of other files",
    withFiles({ [INDEX]: '{"weight_map": {"a": "x.bin"}}' }),
    /weight_map names "x\.bin", no safetensors file/,
  ],
];
for (const [name, served, message] of MODELS) {
  test(`${name} is refused before any weights are fetched`, async () => {
    using other = new HubServer({ [NAME]: served });
    const line = await refused(pull({ endpoint: other.endpoint }));
    expect(line).toMatch(message);
    expect(other.requests.some(({ path }) => path.endsWith("safetensors"))).toBe(false);
  });
}

test("a hub that cannot be reached is one line", async () => {
  server[Symbol.dispose]();
  expect(await refused(pull())).toMatch(/^HUB cannot be reached: .* \(HUB\) - try again later$/);
});

describe("a model's name", () => {
  test("is OWNER/NAME, with a revision after @, and nothing that leads out of the cache", () => {
    expect(parseModelName("Qwen/Qwen2.5-3B")).toEqual({
      name: "Qwen/Qwen2.5-3B",
      revision: "main",
    });
    expect(parseModelName("a/b@refs/pr/1")).toEqual({ name: "a/b", revision: "refs/pr/1" });
    for (const text of [
      "",
      "../x",
      "a/b/c",
      "/a/b",
      "a/..",
      "a//b",
      "a/b@../c",
      "a--b/c",
      "./a",
      "a/b@",
      "~/a",
      "a/b@c@d",
    ])
      expect(parseModelName(text)).toBeUndefined();
  });

  test("means its snapshot in the cache, by branch or commit, with links to the blobs", async () => {
    const { folder } = await pull();
    const environment = { HF_HUB_CACHE: cache };
    expect(resolveModel(NAME, environment)).toBe(folder);
    expect(resolveModel(`${NAME}@${COMMIT}`, environment)).toBe(folder);
    using opened = openFolder(resolveModel(NAME, environment));
    expect(opened.config.family).toBe("llama");
  });

  test("means a folder where there is one", () => {
    expect(resolveModel(cache, {})).toBe(cache);
  });

  const lost = (text: string): string => {
    try {
      return resolveModel(text, { HF_HUB_CACHE: "/nowhere/hub" });
    } catch (error) {
      return (error as UserError).describe();
    }
  };
  test("that is not in the cache is one line with the command that fetches it", () => {
    expect(lost("acme/None")).toBe(
      "no folder acme/None, and no such model in the Hugging Face cache (/nowhere/hub) - fetch it with: icrl pull acme/None",
    );
    expect(lost("acme/None@v2")).toEndWith("fetch it with: icrl pull acme/None --revision v2");
    expect(lost("/models/none")).toStartWith("no such model folder (/models/none)");
  });

  test("a branch whose snapshot is gone is not found", () => {
    const folder = join(cache, "models--a--b");
    mkdirSync(join(folder, "refs"), { recursive: true });
    writeFileSync(join(folder, "refs", "main"), COMMIT);
    expect(cachedSnapshot(cache, { name: "a/b", revision: "main" })).toBeUndefined();
    writeFileSync(join(folder, "refs", "main"), "../../..");
    expect(cachedSnapshot(cache, { name: "a/b", revision: "main" })).toBeUndefined();
  });
});

describe("the environment", () => {
  test("names the cache as for huggingface_hub", () => {
    const home = { XDG_CACHE_HOME: "/x" };
    expect(cacheFolder(home)).toBe("/x/huggingface/hub");
    expect(cacheFolder({ ...home, HF_HOME: "/h" })).toBe("/h/hub");
    expect(cacheFolder({ HF_HOME: "/h", HF_HUB_CACHE: "/c" })).toBe("/c");
  });
  test("holds the token, or the file that login wrote", () => {
    writeFileSync(join(cache, "token"), "from-file\n");
    expect(hubToken({ HF_HOME: cache })).toBe("from-file");
    expect(hubToken({ HF_HOME: cache, HF_TOKEN: " given " })).toBe("given");
    expect(hubToken({ HF_HOME: "/nowhere" })).toBeUndefined();
  });
  test("may forbid fetching, or name another hub", () => {
    expect(() => hubClient({ HF_HUB_OFFLINE: "1" })).toThrow(
      "HF_HUB_OFFLINE is set: nothing is fetched",
    );
    expect(() => hubClient({ HF_ENDPOINT: "mirror" })).toThrow('"mirror" is no address');
    const home = { HF_HOME: "/nowhere" };
    expect(hubClient({ ...home, HF_ENDPOINT: "https://m.example/" }).endpoint).toBe(
      "https://m.example",
    );
    expect(hubClient(home).endpoint).toBe("https://huggingface.co");
  });
});
