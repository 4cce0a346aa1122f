// Reads from a stream in pieces of asked sizes, and writes frames: a length of four bytes, then
// bytes.

export function frame(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const framed = new Uint8Array(4 + bytes.length);
  new DataView(framed.buffer).setUint32(0, bytes.length, true);
  framed.set(bytes, 4);
  return framed;
}

export class StreamEndedError extends Error {
  override readonly name = "StreamEndedError";
}

export class FrameReader {
  private readonly parts: AsyncIterator<Uint8Array>;
  private kept: Uint8Array = new Uint8Array(0);

  constructor(stream: ReadableStream<Uint8Array>) {
    this.parts = stream[Symbol.asyncIterator]();
  }

  /** Throws StreamEndedError where the stream ends before. */
  async take(count: number): Promise<Uint8Array> {
    while (this.kept.length < count) {
      const { value, done } = await this.parts.next();
      if (done === true) throw new StreamEndedError("the stream has ended");
      this.kept = this.kept.length === 0 ? value : Buffer.concat([this.kept, value]);
    }
    const taken = this.kept.subarray(0, count);
    this.kept = this.kept.subarray(count);
    return taken;
  }

  async text(count: number): Promise<string> {
    return new TextDecoder().decode(await this.take(count));
  }

  /** The JSON of one frame. */
  async json(): Promise<unknown> {
    const size = await this.take(4);
    const length = new DataView(size.buffer, size.byteOffset).getUint32(0, true);
    return JSON.parse(await this.text(length));
  }
}
