// An MCP server over stdio, for tests: a message a line. Told to "die" it does, told "garbage" it
// writes some. Its process id can be asked for.

import { createInterface } from "node:readline";
import { answerTo } from "./mcp-protocol.ts";

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  const said = message.params?.arguments?.text;
  if (said === "die") {
    process.stderr.write("I was told to\n");
    process.exit(3);
  }
  if (said === "garbage") process.stdout.write("no JSON\n");
  if (said === "pid") message.params.arguments.text = String(process.pid);
  const answer = answerTo(message);
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer)}\n`);
}
