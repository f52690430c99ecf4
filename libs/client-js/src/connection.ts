/** Following a stream for ever: one cursor, as many requests as it takes. */

import { BACKOFF, cutDelayMs, delayMs, pause } from "./backoff.js";
import type { HoldfastError } from "./errors.js";
import type { HoldfastEvent } from "./events.js";
import { headersOf, isPassing, refusalOf, retryAfterMs } from "./http.js";
import { Outlet } from "./outlet.js";
import { cursorIn, Position, type Taken } from "./position.js";
import { FrameParser } from "./sse.js";
import type { Backoff, Connection, ConnectOptions, Counters, CursorStore, Status } from "./types.js";
import { onWake } from "./wake.js";

/** The gateway sends a heartbeat every 15 s of silence: after two and a half the stream is dead, whatever TCP says. */
export const STALL_MS = 2.5 * 15_000;

/** A gateway answers a stream request at once; one that doesn't is not waited for as long as a silent stream. */
export const HANDSHAKE_MS = 10_000;

/** What a timer can count; beyond it (`Infinity` to wait for ever) it would go off at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** A page that wakes up needs no proof, a hint will do: half the time, in which one heartbeat should have come. */
const WAKE_SHARE = 0.5;

/** Why a stream was over; what the gateway asked for; and whether it said so with a refusal. */
interface Ending {
  readonly reason: string;
  readonly askedMs?: number | undefined;
  readonly error?: HoldfastError;
}

/**
 * Follows a stream of Holdfast: reconnects by itself, resumes where it was, hands out each event once and in order.
 *
 *     const connection = connect("/v1/sessions/s1/stream", { onEvent: (event) => show(event) });
 *     for await (const event of connect("/v1/sessions/s1/stream")) show(event);
 */
export function connect(url: string, options: ConnectOptions = {}): Connection {
  return new StreamConnection(url, options);
}

class StreamConnection implements Connection {
  readonly counters: Counters = {
    events: 0,
    resumes: 0,
    gaps: 0,
    duplicates: 0,
    resets: 0,
  };
  readonly ended: Promise<Status>;

  readonly #url: URL;
  readonly #options: ConnectOptions;
  readonly #backoff: Backoff;
  readonly #stallMs: number;
  readonly #outlet: Outlet;
  readonly #position: Position;
  #streams = 0;
  #failures = 0;
  /** The server's `retry:`, until it names another. */
  #askedMs: number | undefined;
  /** The last that was put into the order, told or not. */
  #status: Status | undefined;
  #caughtUp = false;
  #stalled: Status | undefined;
  /** By the wall clock: the monotonic one stands still while a laptop sleeps. */
  #lastByteAt = 0;
  /** The next wait, where neither the gateway nor a failure has a say in it. */
  #nextWaitMs: number | undefined;
  /** Ends the stream that is under way, with the reason to tell. */
  #drop: ((reason: string) => void) | undefined;
  /** Ends the wait that is under way. */
  #skip: (() => void) | undefined;

  constructor(url: string, options: ConnectOptions) {
    const { signal } = options;
    this.#url = new URL(url, globalThis.location?.href);
    this.#options = options;
    this.#backoff = { ...BACKOFF, ...options.backoff };
    this.#stallMs = options.stallTimeoutMs ?? STALL_MS;
    const after = Math.max(
      options.after ?? cursorIn(this.#url.searchParams.get("after")) ?? 0,
      keptCursor(options.store),
    );
    this.#outlet = new Outlet(after, options, this.counters);
    this.#position = new Position(after, this.counters);
    this.ended = this.#outlet.ended;
    const unlisten = onWake(() => this.#wake());
    signal?.addEventListener("abort", this.close);
    this.ended.then(() => {
      unlisten();
      signal?.removeEventListener("abort", this.close);
    });
    // Not before the caller has what `connect` returns: its callbacks may use it.
    queueMicrotask(() => (signal?.aborted ? this.close() : this.#follow()));
  }

  get cursor(): number {
    return this.#outlet.cursor;
  }

  get status(): Status {
    return this.#outlet.status;
  }

  close = (): void => {
    this.#outlet.stop({ state: "ended", attempt: 0, reason: "closed" });
    this.#drop?.("closed");
    this.#skip?.();
  };

  cut(): void {
    if (!this.#drop) return;
    this.#nextWaitMs = cutDelayMs();
    this.#drop("cut on purpose");
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<HoldfastEvent, void> {
    try {
      let event = await this.#outlet.pull();
      while (event) {
        yield event;
        event = await this.#outlet.pull();
      }
    } finally {
      this.close();
    }
    if (this.status.error) throw this.status.error;
  }

  async #follow(): Promise<void> {
    for (;;) {
      this.#tell({ state: "connecting", attempt: this.#failures });
      // Whoever was told may have closed it.
      if (this.#outlet.over) return;
      const ending = await this.#stream();
      if (!ending || this.#outlet.over) return;
      this.#askedMs = ending.askedMs ?? this.#askedMs;
      this.#failures++;
      const retryInMs = this.#nextWaitMs ?? delayMs(this.#backoff, this.#failures, this.#askedMs);
      this.#nextWaitMs = undefined;
      const { reason, error } = ending;
      this.#tell({
        state: "waiting",
        attempt: this.#failures,
        retryInMs,
        reason,
        ...(error && { error }),
      });
      if (this.#outlet.over) return;
      const skip = new AbortController();
      this.#skip = () => skip.abort();
      await pause(retryInMs, skip.signal);
      this.#skip = undefined;
    }
  }

  /** Makes one request and reads its stream to the end. Returns why to go on, or nothing if there is no reason to. */
  async #stream(): Promise<Ending | undefined> {
    const abort = new AbortController();
    const parser = new FrameParser();
    const openedCursor = this.#position.cursor;
    let openedAt: number | undefined;
    let why: string | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    // A fetch of the caller's may not know of signals: what it promised is then simply no longer waited for.
    let giveUp: (() => void) | undefined;
    const dropped = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    dropped.catch(() => {});
    const drop = (reason: string) => {
      why ??= reason;
      abort.abort();
      giveUp?.();
      reader?.cancel().catch(() => {});
    };
    const within = (ms: number, reason: string) => {
      clearTimeout(timer);
      timer = setTimeout(drop, Math.min(ms, TIMER_MS_MAX), reason);
    };
    this.#drop = drop;
    try {
      within(this.#options.handshakeTimeoutMs ?? HANDSHAKE_MS, "no answer in time");
      this.#lastByteAt = Date.now();
      const response = await Promise.race([this.#request(abort.signal), dropped]);
      const { status } = response;
      if (status === 204) return this.#tell({ state: "ended", attempt: 0, reason: "complete" });
      const isStream = /^text\/event-stream/i.test(response.headers.get("content-type") ?? "");
      if (status !== 200 || !isStream || !response.body) {
        const error = await Promise.race([refusalOf(response), dropped]);
        if (status !== 200 && !isPassing(status)) return this.#tell({ state: "failed", attempt: 0, error });
        // 200 of another kind is a proxy's or a portal's page: it passes, as an outage does.
        return {
          reason: error.message,
          askedMs: retryAfterMs(response),
          error,
        };
      }
      openedAt = Date.now();
      this.counters.resumes = this.#streams++;
      this.#caughtUp = false;
      this.#stalled = undefined;
      this.#tell({ state: "catching-up", attempt: 0 });
      reader = response.body.getReader();
      for (;;) {
        // Only while reading: a slow reader of ours is no silent gateway.
        within(this.#stallMs, "silence, not even a heartbeat");
        const { done, value } = await reader.read();
        clearTimeout(timer);
        this.#lastByteAt = Date.now();
        if (done) break;
        for (const frame of parser.feed(value)) {
          const taken = this.#position.take(frame);
          if (taken && this.#put(taken))
            return this.#tell({
              state: "ended",
              attempt: 0,
              reason: "complete",
            });
        }
        this.#outlet.flush();
        await this.#outlet.room();
      }
      why ??= "the gateway closed the stream";
    } catch (error) {
      why ??= error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
      this.#drop = undefined;
      drop("over");
      this.#outlet.flush();
    }
    const lasted = openedAt !== undefined && Date.now() - openedAt >= this.#backoff.mostMs;
    if (lasted || this.#position.cursor !== openedCursor) this.#failures = 0;
    return { reason: why, askedMs: parser.retryMs };
  }

  async #request(signal: AbortSignal): Promise<Response> {
    const { fetch = globalThis.fetch, headers } = this.#options;
    const { cursor } = this.#position;
    if (cursor > 0) this.#url.searchParams.set("after", String(cursor));
    // The header, for which a page of another origin has to ask first, is for resuming only.
    const own: Record<string, string> = { accept: "text/event-stream" };
    if (this.#streams > 0) own["last-event-id"] = String(cursor);
    return fetch(this.#url.href, {
      headers: await headersOf(headers, own),
      cache: "no-store",
      signal,
    });
  }

  /** Puts what a frame brought into the order, and tells whether it was the last that is wanted. */
  #put(taken: Taken): boolean | undefined {
    this.#outlet.put(taken);
    if (taken.kind === "event") return this.#options.endsWith?.(taken.event);
    if (taken.kind === "control") {
      const { name, data } = taken;
      if (name === "caught-up") this.#caughtUp = true;
      else if (name === "stalled") this.#stalled = { state: "stalled", attempt: 0, ...since(data) };
      else if (name === "live") this.#stalled = undefined;
      // `drain` needs nothing: the gateway closes the stream by itself, and leaving early would add to its storm.
      const status = this.#stalled ?? {
        state: this.#caughtUp ? "live" : "catching-up",
        attempt: 0,
      };
      if (status.state !== this.#status?.state) this.#tell(status);
    }
    return false;
  }

  #tell(status: Status): undefined {
    this.#status = status;
    this.#outlet.put({ kind: "status", status });
    this.#outlet.flush();
  }

  /** The network or the page is back: what waits goes at once, and a stream that is too quiet is given up. */
  #wake(): void {
    if (this.#skip) this.#skip();
    else if (Date.now() - this.#lastByteAt > this.#stallMs * WAKE_SHARE) {
      this.#nextWaitMs = 0;
      this.#drop?.("silence before a wake-up");
    }
  }
}

function since({ since: at }: Record<string, unknown>): { since?: string } {
  return typeof at === "string" ? { since: at } : {};
}

/** What an earlier page kept; 0 if there was none, or if it may not be looked at. */
function keptCursor(store: CursorStore | undefined): number {
  try {
    return cursorIn(store?.storage.getItem(store.key) ?? null) ?? 0;
  } catch {
    return 0;
  }
}
