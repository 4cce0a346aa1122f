// Requests to a Hugging Face hub, or a mirror that speaks its HTTP API: the token, redirects,
// and one line for each way in which they fail. Not what is fetched: listing.ts, download.ts.

import { UserError } from "../../config/errors.ts";
import { type Environment, hubToken, type ModelName } from "./cache.ts";

export interface HubClient {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** A connection that is silent for so long is cut. */
  readonly idleMs: number;
  /** Before try `number`, from 1. */
  readonly waitMs: (number: number) => number;
}

const DEFAULT_ENDPOINT = "https://huggingface.co";
const MAX_REDIRECTS = 8;

export function hubClient(environment: Environment): HubClient {
  const { HF_ENDPOINT, HF_HUB_OFFLINE } = environment;
  if (HF_HUB_OFFLINE !== undefined && /^(1|on|yes|true)$/i.test(HF_HUB_OFFLINE))
    throw new UserError("HF_HUB_OFFLINE is set: nothing is fetched", { hint: "unset it to pull" });
  const endpoint = (HF_ENDPOINT || DEFAULT_ENDPOINT).replace(/\/+$/, "");
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ""))
    throw new UserError(`"${endpoint}" is no address`, { where: "HF_ENDPOINT" });
  const waitMs = (number: number): number => Math.min(30_000, 1000 * 2 ** (number - 1));
  return { endpoint, token: hubToken(environment), idleMs: 30_000, waitMs };
}

/** A connection that failed or broke; trying again may help. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  constructor(
    message: string,
    /** What the server asked for. */
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** What a request was for, to say so where it fails. */
export interface Purpose extends ModelName {
  readonly file?: string;
}

/** A response of status 200 or 206. Throws ConnectionError, or UserError where it is no use. */
export async function request(
  client: HubClient,
  path: string,
  purpose: Purpose,
  options: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Response> {
  const response = await followed(client, `${client.endpoint}/${path}`, options);
  if (response.status === 200 || response.status === 206) return response;
  await response.body?.cancel();
  throw statusError(client, response, purpose);
}

/** Redirects are followed here, so that the token goes to the hub alone and never to its CDN. */
async function followed(
  client: HubClient,
  address: string,
  {
    headers,
    signal,
  }: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal },
): Promise<Response> {
  const home = new URL(client.endpoint);
  let url = new URL(address);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const known = client.token !== undefined && url.origin === home.origin;
    const sent = {
      // A compressed body has other lengths than the file.
      "Accept-Encoding": "identity",
      "User-Agent": "icrl",
      ...headers,
      ...(known && { Authorization: `Bearer ${client.token}` }),
    };
    const response = await reached(url, {
      headers: sent,
      redirect: "manual",
      ...(signal && { signal }),
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    url = new URL(location, url);
    if (url.protocol !== home.protocol && url.protocol !== "https:")
      throw new UserError("a redirect leads to an unsafe address", { where: url.origin });
  }
  throw new UserError(`more than ${MAX_REDIRECTS} redirects`, { where: address });
}

async function reached(url: URL, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw new ConnectionError(`${url.origin} cannot be reached: ${oneLine(error)}`);
  }
}

/** The first sentence: the runtime's messages go on about its own options. */
export const oneLine = (error: unknown): string => (error as Error).message.split(/\.\s|\n/)[0]!;

function statusError(client: HubClient, { status, headers }: Response, purpose: Purpose): Error {
  const where = `${client.endpoint}/${purpose.name}`;
  const code = headers.get("x-error-code");
  if (code === "GatedRepo" || code === "DisabledRepo") return gatedError(client, purpose, where);
  if (status === 401 || status === 403) return deniedError(client, status, purpose, where);
  if (status === 404) return missingError(code, purpose, where);
  const asked = Number(headers.get("retry-after"));
  const waitMs = asked > 0 ? asked * 1000 : undefined;
  if (status === 429) return new ConnectionError("the hub has had too many requests (429)", waitMs);
  if (status >= 500 || status === 408)
    return new ConnectionError(`the hub answers ${status}`, waitMs);
  return new UserError(`the hub answers ${status}`, { where });
}

function gatedError({ token }: HubClient, { name }: Purpose, where: string): UserError {
  const then = token === undefined ? "set HF_TOKEN" : "use a token of that account in HF_TOKEN";
  return new UserError(`${name} is gated`, { where, hint: `accept its terms there, then ${then}` });
}

function deniedError(
  { token }: HubClient,
  status: number,
  { name }: Purpose,
  where: string,
): UserError {
  if (token === undefined) {
    const hint = "check the name; for a private model set HF_TOKEN";
    return new UserError(`without a token the hub shows no model ${name}`, { where, hint });
  }
  const what =
    status === 401 ? "the hub does not know the token" : `the token may not read ${name}`;
  return new UserError(`${what} (${status})`, { where, hint: "check HF_TOKEN and the name" });
}

function missingError(
  code: string | null,
  { name, revision, file }: Purpose,
  where: string,
): UserError {
  if (code === "RevisionNotFound")
    return new UserError(`${name} has no revision ${revision}`, { where });
  if (file !== undefined) return new UserError(`the hub has no ${file} of ${name}`, { where });
  return new UserError(`the hub has no model ${name}`, { where, hint: "check the name" });
}
