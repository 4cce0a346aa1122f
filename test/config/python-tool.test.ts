// What a recipe can say of the Python tools.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseRecipe } from "../../src/config/load.ts";
import { openToolbox } from "../../src/train/open-tool.ts";
import { whyNoSandbox } from "../helpers/python-sandbox.ts";
import { serveSandboxFusion } from "../helpers/sandbox-fusion-server.ts";

setDefaultTimeout(120_000); // for a busy machine

const recipeOf = (python: string) =>
  parseRecipe(`name: x\ntool: { python: ${python} }\n`, "r.yaml");
const reason = await whyNoSandbox();

test("the time of a snippet lies below the deadline of its call", () => {
  for (const more of ["", "url: http://127.0.0.1:1, "]) {
    const read = () => recipeOf(`{ ${more}time_ms: 5000, deadline_ms: 5000 }`);
    expect(read).toThrow("deadline_ms is not above time_ms (5000)");
  }
});

describe.skipIf(reason !== undefined)(`a toolbox${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test("runs Python within the limits of its recipe", async () => {
    const limits = "time_ms: 500, memory_mb: 64, output_bytes: 10, concurrency: 1, python: python3";
    await using toolbox = await openToolbox(recipeOf(`{ ${limits} }`));
    const read = async (code: string) => (await toolbox.call("python", code)).result.text;
    expect(await read("while True: pass")).toBe("TimeoutError: stopped after 0.5 seconds");
    expect(await read("bytearray(2**28)")).toEndWith("MemoryError");
    expect(await read("print('x' * 20)")).toBe(
      "xxxxxxxxxx\n... (output cut after 10 bytes, stopped)",
    );
  });
});

test("a toolbox with an address asks a SandboxFusion", async () => {
  const answer = {
    status: "Success",
    message: "",
    run_result: { status: "Finished", return_code: 0, stdout: "7" },
  };
  using server = serveSandboxFusion(answer);
  await using toolbox = await openToolbox(recipeOf(`{ url: "${server.url}", recording: false }`));
  expect((await toolbox.call("python", "print(7)")).result).toEqual({
    ok: true,
    text: "7",
    executionFailed: false,
  });
});

test("a SandboxFusion that is not there is said before a run begins", async () => {
  const gone = serveSandboxFusion({});
  gone[Symbol.dispose]();
  const opened = openToolbox(recipeOf(`{ url: "${gone.url}", retries: 0 }`));
  await expect(opened).rejects.toThrow(/the sandbox does not answer/);
});
