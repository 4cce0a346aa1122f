// The options that every `icrl serve` has: where to listen and who may ask.

import type { Command } from "commander";
import { UserError } from "../config/errors.ts";
import type { ServerOptions } from "../serve/server.ts";
import { parseCount } from "./options.ts";

export interface AddressOptions {
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  readonly verbose?: boolean;
}

export function addAddressOptions(command: Command, port: number): Command {
  return command
    .option("--host <address>", "where to listen; needs a token unless it is loopback", "127.0.0.1")
    .option("--port <n>", "0 takes a free one", parsePort, port)
    .option(
      "--token <text>",
      "asked of every client; ICRL_TOKEN does the same, and ps shows it not",
    )
    .option("--verbose", "a line a request on stderr");
}

function parsePort(text: string): number {
  const port = parseCount("--port", 0)(text);
  if (port <= 65535) return port;
  throw new UserError(`"${text}" is no value for --port`, { hint: "at most 65535", exitCode: 2 });
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `maxBodyBytes`: of one request. */
export function serverOptions(
  { host, port, token, verbose }: AddressOptions,
  maxBodyBytes: number,
  env: Environment,
): ServerOptions {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const asked = token ?? env["ICRL_TOKEN"];
  return { host, port, token: asked, maxBodyBytes, log: verbose ? log : undefined };
}

/** What a client's curl needs beside the address; empty without a token. */
export const curlToken = ({ token }: ServerOptions): string =>
  token === undefined ? "" : ` -H "Authorization: Bearer $ICRL_TOKEN"`;
