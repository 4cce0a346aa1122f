import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFolder } from "../../src/model/byte-source.ts";
import { goldenPath } from "../helpers/folders.ts";
import { HubServer } from "../helpers/hub-server.ts";

setDefaultTimeout(60_000);

const main = join(import.meta.dir, "../../src/main.ts");
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const source = diskFolder(goldenPath("qwen2-tied"));
const FILES = ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"];
const files = Object.fromEntries(FILES.map((file) => [file, source.bytes(file)]));

let home: string;
let hub: HubServer;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "icrl-pull-"));
  hub = new HubServer({ "acme/tiny": { commit: COMMIT, files, lfsBytes: 4000 } });
});
afterEach(() => {
  hub[Symbol.dispose]();
  rmSync(home, { recursive: true });
});

async function icrl(...args: string[]) {
  const env = { ...process.env, HF_HOME: home, HF_ENDPOINT: hub.endpoint, OMP_NUM_THREADS: "1" };
  delete (env as Record<string, unknown>)["HF_HUB_CACHE"];
  const child = Bun.spawn([process.execPath, main, ...args], {
    env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr: stderr.replaceAll(hub.endpoint, "HUB") };
}

test("a pulled model has one line a file on stderr, its folder on stdout, and is then found by name", async () => {
  const { code, stdout, stderr } = await icrl("pull", "acme/tiny");
  expect(
    stderr
      .trim()
      .split("\n")
      .map((line) => line.split("  ")[0])
      .toSorted(),
  ).toEqual(FILES.toSorted());
  expect([code, stdout]).toEqual([
    0,
    `${join(home, "hub", "models--acme--tiny", "snapshots", COMMIT)}\n`,
  ]);
  const scored = await icrl("score", "--model", "acme/tiny", "--ids", "1,2,3", "--json");
  expect([scored.code, scored.stderr]).toEqual([0, ""]);
  expect(JSON.parse(scored.stdout)).toMatchObject({ ids: [1, 2, 3] });
});

test("what goes wrong is one line, and a wrong name is wrong usage", async () => {
  expect(await icrl("pull", "acme/none")).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "icrl: without a token the hub shows no model acme/none (HUB/acme/none) - " +
      "check the name; for a private model set HF_TOKEN\n",
  });
  const { code, stderr } = await icrl("pull", "acme/tiny", "--revision", "v9");
  expect([code, stderr]).toEqual([1, "icrl: acme/tiny has no revision v9 (HUB/acme/tiny)\n"]);
  expect(await icrl("pull", "../tiny")).toMatchObject({
    code: 2,
    stderr: 'icrl: "../tiny" is no model\'s name - OWNER/NAME, as in Qwen/Qwen2.5-3B-Instruct\n',
  });
  const unknown = await icrl("score", "--model", "acme/tiny", "--ids", "1");
  expect(unknown.stderr).toContain("fetch it with: icrl pull acme/tiny");
});
