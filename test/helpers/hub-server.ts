// A hub for tests: the part of Hugging Face's HTTP API that a pull uses, on ports of this machine.
// Large files are redirected to a second server, as the hub does to its CDN. Faults are planted by
// file: each request for it takes the next one.

import { createHash } from "node:crypto";

export type Fault =
  | { readonly kind: "cut"; readonly after: number }
  | { readonly kind: "silence"; readonly after: number }
  | { readonly kind: "flip" }
  | { readonly kind: "no ranges" }
  | { readonly kind: "status"; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: "none" };

export interface HubModel {
  readonly commit: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Files from this size on are kept by checksum on the CDN; the others in git. */
  readonly lfsBytes: number;
}
export interface SeenRequest {
  readonly server: "hub" | "cdn";
  readonly path: string;
  readonly range: string | null;
  readonly authorization: string | null;
}

export class HubServer implements Disposable {
  readonly requests: SeenRequest[] = [];
  private readonly faults = new Map<string, Fault[]>();
  private readonly hub = listen((request) => this.answer(request));
  private readonly cdn = listen((request) => this.serve(request));
  private readonly line = new BadLine();

  constructor(private readonly models: Readonly<Record<string, HubModel>>) {}

  get endpoint(): string {
    return this.hub.url.origin;
  }

  /** `what`: a file's name, or "listing". */
  plant(what: string, ...faults: readonly Fault[]): void {
    this.faults.set(what, [...faults]);
  }

  /** For the client to call when it has so many bytes of a file: a planted cut happens then. */
  hangUp(present: number): void {
    this.line.hangUp(present);
  }

  private answer(request: Request): Response {
    const url = new URL(request.url);
    this.note("hub", request);
    const listing = /^\/api\/models\/(.+)\/revision\/([^/]+)$/.exec(url.pathname);
    if (listing !== null) return this.list(listing[1]!, decodeURIComponent(listing[2]!));
    const [, name = "", revision, file = ""] =
      /^\/(.+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
    const model = this.models[name];
    const bytes = revision === model?.commit ? model?.files[file] : undefined;
    if (model === undefined || bytes === undefined) return new Response("", { status: 404 });
    const fault = this.faults.get(file)?.[0];
    if (fault?.kind === "status") return this.statusFault(file);
    if (bytes.length < model.lfsBytes) return this.content(request, file, bytes);
    const path = `/repos/${sha256(bytes)}?${new URLSearchParams({ name: file, of: name })}`;
    return new Response("", { status: 302, headers: { location: this.cdn.url.origin + path } });
  }

  private serve(request: Request): Response {
    this.note("cdn", request);
    const { searchParams } = new URL(request.url);
    const file = searchParams.get("name")!;
    return this.content(request, file, this.models[searchParams.get("of")!]!.files[file]!);
  }

  private note(server: "hub" | "cdn", { url, headers }: Request): void {
    const { pathname: path } = new URL(url);
    const range = headers.get("range");
    this.requests.push({ server, path, range, authorization: headers.get("authorization") });
  }

  private list(name: string, revision: string): Response {
    const fault = this.faults.get("listing")?.[0];
    if (fault?.kind === "status") return this.statusFault("listing");
    const model = this.models[name];
    if (model === undefined) return new Response("", { status: 401 }); // as to strangers
    const known = ["main", model.commit].includes(revision);
    if (!known)
      return new Response("", { status: 404, headers: { "x-error-code": "RevisionNotFound" } });
    const siblings = Object.entries(model.files).map(([rfilename, bytes]) => ({
      rfilename,
      size: bytes.length,
      blobId: gitSha1(bytes),
      ...(bytes.length >= model.lfsBytes && { lfs: { sha256: sha256(bytes), size: bytes.length } }),
    }));
    return Response.json({ id: name, sha: model.commit, siblings });
  }

  private statusFault(what: string): Response {
    const fault = this.faults.get(what)!.shift() as Extract<Fault, { kind: "status" }>;
    return new Response("", {
      status: fault.status,
      ...(fault.headers && { headers: fault.headers }),
    });
  }

  private content(request: Request, file: string, bytes: Uint8Array): Response {
    const fault = this.faults.get(file)?.shift() ?? { kind: "none" };
    const [, asked] = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "") ?? [];
    const from = fault.kind === "no ranges" ? 0 : Number(asked ?? 0);
    const sent = fault.kind === "flip" ? flipped(bytes) : bytes;
    const part = sent.slice(from);
    const headers: Record<string, string> = { "content-length": String(part.length) };
    const ranged = asked !== undefined && fault.kind !== "no ranges";
    if (ranged) headers["content-range"] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    const status = ranged ? 206 : 200;
    if (fault.kind !== "cut" && fault.kind !== "silence")
      return new Response(part, { status, headers });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const location = this.line.promise({
      text: `HTTP/1.1 ${status} Planted\r\n${lines.join("")}\r\n`,
      part: part.slice(0, fault.after),
      hangUpAt: fault.kind === "cut" ? from + fault.after : undefined,
    });
    return new Response("", { status: 307, headers: { location } });
  }

  [Symbol.dispose](): void {
    void this.hub.stop(true);
    void this.cdn.stop(true);
    this.line.stop();
  }
}

interface Planted {
  readonly text: string;
  readonly part: Uint8Array;
  /** The byte of the file where it hangs up, once the client has what came before. */
  readonly hangUpAt: number | undefined;
}

/** Answers with less than it said, and then hangs up or falls silent: no HTTP server does that. */
class BadLine {
  private readonly answers: Planted[] = [];
  private readonly open = new Map<number, Bun.Socket>();
  private readonly server = Bun.listen({
    port: 0,
    hostname: "127.0.0.1",
    socket: {
      data: (socket, request) => {
        const { text, part, hangUpAt } =
          this.answers[Number(/\/(\d+)/.exec(request.toString())![1])]!;
        socket.write(Buffer.concat([Buffer.from(text), part]));
        if (part.length === 0 && hangUpAt !== undefined) socket.end();
        else if (hangUpAt !== undefined) this.open.set(hangUpAt, socket);
      },
    },
  });

  /** The address where the answer will be given. */
  promise(planted: Planted): string {
    return `http://127.0.0.1:${this.server.port}/${this.answers.push(planted) - 1}`;
  }

  hangUp(present: number): void {
    this.open.get(present)?.end();
    this.open.delete(present);
  }

  stop(): void {
    this.server.stop(true);
  }
}

const listen = (fetch: (request: Request) => Response) =>
  Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });

function flipped(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte));
}

export const sha256 = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
