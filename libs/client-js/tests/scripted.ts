/** A gateway that says what a test tells it to, when it is told. */
import { vi } from "vitest";

const utf8 = new TextEncoder();

/** One request, waiting for its answer. */
export class Visit {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | undefined;
  readonly redirect: RequestRedirect | undefined;
  readonly signal: AbortSignal | undefined;
  /** Chunks that were sent and not fetched by the client yet, by the stream's own count. */
  controller!: ReadableStreamDefaultController<Uint8Array>;
  cancelled = false;

  constructor(
    url: string,
    init: RequestInit,
    readonly answer: (response: Response) => void,
    readonly fail: (error: Error) => void,
  ) {
    this.url = new URL(url, "http://gateway");
    this.method = init.method ?? "GET";
    this.headers = new Headers(init.headers);
    this.body = init.body as string | undefined;
    this.redirect = init.redirect;
    this.signal = init.signal ?? undefined;
    this.signal?.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
  }

  /** Answers with a stream and says `text`, if any. */
  async stream(text = "", headers: Record<string, string> = {}): Promise<this> {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller;
        },
        cancel: () => {
          this.cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    this.signal?.addEventListener("abort", () => this.#breakOff());
    this.answer(new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8", ...headers } }));
    if (text) this.controller.enqueue(utf8.encode(text));
    await settle();
    return this;
  }

  async say(text: string): Promise<void> {
    this.controller.enqueue(utf8.encode(text));
    await settle();
  }

  /** Ends the stream as the gateway does. */
  async end(): Promise<void> {
    this.controller.close();
    await settle();
  }

  /** Breaks the stream as a network does. */
  async breakOff(): Promise<void> {
    this.#breakOff();
    await settle();
  }

  async status(status: number, body?: object | string, headers: Record<string, string> = {}): Promise<void> {
    const text = typeof body === "object" ? JSON.stringify(body) : (body ?? null);
    this.answer(new Response(status === 204 ? null : text, { status, headers }));
    await settle();
  }

  #breakOff(): void {
    try {
      this.controller.error(new TypeError("network error"));
    } catch {
      // over already
    }
  }
}

export class ScriptedGateway {
  readonly visits: Visit[] = [];
  readonly fetch: typeof globalThis.fetch = (input, init = {}) =>
    new Promise((resolve, reject) => {
      this.visits.push(new Visit(String(input), init, resolve, reject));
    });

  /** The latest request. */
  get last(): Visit {
    const visit = this.visits.at(-1);
    if (!visit) throw new Error("nobody came");
    return visit;
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** Lets time pass. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** The frame of an event. */
export function event(seq: number, type = "message.delta", rest: object = {}): string {
  const envelope = { v: 1, seq, type, session_id: "s", ts: "2026-01-01T00:00:00.000Z", data: {}, ...rest };
  return `id: ${seq}\ndata: ${JSON.stringify(envelope)}\n\n`;
}

/** The frames of events from `first` to `last`. */
export function events(first: number, last: number): string {
  return Array.from({ length: last - first + 1 }, (_, i) => event(first + i)).join("");
}

export function control(name: string, data: object = {}, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const caughtUp = (head: number) => control("caught-up", { head });
