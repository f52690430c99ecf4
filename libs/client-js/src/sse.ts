/**
 * Server-sent events out of a stream of bytes, by the WHATWG's rules, whatever the chunks.
 *
 * One deliberate difference from a browser's parser (and from the small ones on the shelf): a frame without data is
 * handed out too. An id alone moves the cursor, and a reader that doesn't see it takes the next event for a gap.
 */

/** What stood between two blank lines; a field that was absent is absent. */
export interface Frame {
  id?: string;
  event?: string;
  data?: string;
}

/**
 * The largest event is 256 KiB of JSON; four times that leaves room for any framing, and still bounds the memory that
 * a server (or whatever pretends to be one) can make us hold.
 */
export const FRAME_CHARS_MAX = 1024 * 1024;

/** Feed it the bytes of one response. What an incomplete last frame held is never handed out. */
export class FrameParser {
  /** The server's last `retry:`, in force at its line end. */
  retryMs: number | undefined;
  readonly #decoder = new TextDecoder(); // drops a BOM, waits for the rest of a character
  #line = "";
  #size = 0;
  #afterCr = false;
  #frame: Frame = {};

  /** Returns the frames that `chunk` completes. Throws when one grows beyond FRAME_CHARS_MAX. */
  feed(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let text = this.#decoder.decode(chunk, { stream: true });
    if (!text) return frames;
    // CR LF is one line end, also when the chunk ends between the two.
    if (this.#afterCr && text[0] === "\n") text = text.slice(1);
    this.#afterCr = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    for (let i = 0; i < lines.length; i++) {
      const piece = lines[i] as string;
      this.#size += piece.length;
      if (this.#size > FRAME_CHARS_MAX) throw new Error("a frame is too large");
      // Joined piece by piece: looking through what is there already would take quadratic time.
      this.#line += piece;
      if (i < lines.length - 1) {
        const line = this.#line;
        this.#line = "";
        if (line) this.#field(line);
        else this.#end(frames);
      }
    }
    return frames;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    const frame = this.#frame;
    if (!name)
      this.#size -= line.length; // a comment: a stream of heartbeats must not add up to a frame
    else if (name === "data") frame.data = frame.data === undefined ? value : `${frame.data}\n${value}`;
    else if (name === "event") frame.event = value;
    else if (name === "id" && !value.includes("\0")) frame.id = value;
    else if (name === "retry" && /^\d{1,12}$/.test(value)) this.retryMs = Number(value);
  }

  #end(frames: Frame[]): void {
    const frame = this.#frame;
    this.#frame = {};
    this.#size = 0;
    if (Object.keys(frame).length > 0) frames.push(frame);
  }
}
