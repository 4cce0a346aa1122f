// The policy's text while it streams, in spans by the tags it stands in. What may be the begin of a
// tag is held back until it is certain. A reader for the eye: an unclosed tag ends where the next
// opens, and nothing is judged (reward/turn.ts does that).

import type { TagProfile } from "../../reward/tags.ts";

export type TagKind = "text" | "thought" | "call" | "answer";
export interface TagSpan {
  readonly kind: TagKind;
  readonly text: string;
}
interface Mark {
  readonly text: string; // lower case
  /** What it opens, together with what closes that. */
  readonly opens?: { readonly kind: TagKind; readonly close: string };
}

export class TagSpans {
  private readonly opening: readonly Mark[];
  private kind: TagKind = "text";
  private close: string | undefined;
  private held = "";

  constructor({ think, calls, answer }: TagProfile) {
    const pairs = [
      ...(think === undefined ? [] : [{ kind: "thought" as const, tags: think }]),
      ...calls.map(({ tags }) => ({ kind: "call" as const, tags })),
      { kind: "answer" as const, tags: answer },
    ];
    this.opening = pairs.map(({ kind, tags: { open, close } }) => ({
      text: open.toLowerCase(),
      opens: { kind, close: close.toLowerCase() },
    }));
  }

  /** Spans that are certain; neighbours differ in kind. */
  push(text: string): TagSpan[] {
    const spans: TagSpan[] = [];
    this.held += text;
    for (let mark = this.nextMark(); mark !== undefined; mark = this.nextMark()) {
      this.take(mark.at, spans);
      if (mark.opens !== undefined) this.kind = mark.opens.kind;
      this.take(mark.text.length, spans);
      if (mark.opens === undefined) this.kind = "text";
      this.close = mark.opens?.close;
    }
    this.take(this.held.length - this.uncertain(), spans);
    return spans;
  }

  /** What was held back; the next text begins anew, outside of tags. */
  end(): TagSpan[] {
    const spans: TagSpan[] = [];
    this.take(this.held.length, spans);
    this.kind = "text";
    this.close = undefined;
    return spans;
  }

  private marks(): readonly Mark[] {
    return this.close === undefined ? this.opening : [{ text: this.close }, ...this.opening];
  }

  /** The first in what is held; of several at one place the longest. */
  private nextMark(): (Mark & { readonly at: number }) | undefined {
    const text = this.held.toLowerCase();
    const found = this.marks()
      .map((mark) => ({ ...mark, at: text.indexOf(mark.text) }))
      .filter(({ at }) => at >= 0);
    return found.toSorted((a, b) => a.at - b.at || b.text.length - a.text.length)[0];
  }

  /** Length of the longest end that begins a mark. */
  private uncertain(): number {
    const text = this.held.toLowerCase();
    for (let n = text.length; n > 0; n--) {
      if (this.marks().some((mark) => mark.text.startsWith(text.slice(-n)))) return n;
    }
    return 0;
  }

  private take(length: number, spans: TagSpan[]): void {
    if (length === 0) return;
    const text = this.held.slice(0, length);
    this.held = this.held.slice(length);
    const last = spans.at(-1);
    if (last?.kind !== this.kind) spans.push({ kind: this.kind, text });
    else spans[spans.length - 1] = { kind: this.kind, text: last.text + text };
  }
}
