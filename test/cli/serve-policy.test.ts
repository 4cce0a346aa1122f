import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { icrl, MAIN } from "../helpers/cli.ts";
import { dataFolder, type DataFolder } from "../helpers/data-files.ts";
import { openCpu } from "../helpers/engine.ts";
import { writeTinyModel } from "../helpers/tiny-model.ts";

setDefaultTimeout(240_000);

let folder: DataFolder;
beforeAll(() => {
  openCpu()[Symbol.dispose](); // one thread
  folder = dataFolder();
  writeTinyModel(folder.path);
});
afterAll(() => folder[Symbol.dispose]());

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const utf8 = new TextDecoder();
  for await (const part of stream) {
    text += utf8.decode(part, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0]!;
}

test("it says where it is, answers who has the token, and ends with SIGTERM", async () => {
  const words = ["serve", "policy", "--model", "tiny", "--port", "0", "--token", "open sesame"];
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const io = { stdout: "pipe", stderr: "pipe" } as const;
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder.path, env, ...io });
  const line = await firstLine(child.stdout);
  expect(line).toMatch(
    /^tiny as tiny at http:\/\/127\.0\.0\.1:\d+\/v1 \(context 4096, no chat template: completions only\)$/,
  );
  const url = /http\S+/.exec(line)![0];
  const body = JSON.stringify({ model: "tiny", prompt: "Who", max_tokens: 3, logprobs: 0 });
  const ask = (token: string) =>
    fetch(`${url}/completions`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${token}` },
    });
  expect((await ask("open")).status).toBe(401);
  const answer = await ask("open sesame");
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    { object: "text_completion", model: "tiny" },
  ]);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(await new Response(child.stderr).text()).toBe(
    "stopping when what runs is answered; Ctrl-C again ends at once\n",
  );
});

describe("is refused:", () => {
  const table: readonly [args: string, code: number, message: string][] = [
    ["--run a --model b", 2, "give either --run or --model"],
    ["--model none", 1, "none"],
    ["--model tiny --max-concurrency 0", 2, '"0" is no value for --max-concurrency'],
    ["--model tiny --port 99999", 2, '"99999" is no value for --port'],
    ["--model tiny --host 0.0.0.0", 1, "others can reach this address, so a token is needed"],
  ];
  test.each(table)("%s", async (args, code, message) => {
    const done = await icrl(folder.path, "serve", "policy", ...args.split(" "));
    expect(done.stderr).toContain(message);
    expect(done.code).toBe(code);
  });
});
