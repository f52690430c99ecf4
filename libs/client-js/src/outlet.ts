/**
 * Hands out what a connection brings, in order: to callbacks at once or per animation frame, or to whoever iterates.
 *
 * Nothing here knows of sockets. What waits is bounded: `room()` tells the reader when to go on.
 */

import type { HoldfastEvent } from "./events.js";
import type { Taken } from "./position.js";
import type { ConnectOptions, Counters, Status } from "./types.js";

/** All that has its place in the order. */
export type Item = Taken | { readonly kind: "status"; readonly status: Status };

/**
 * Events that may wait for their reader: a few frames' worth of a busy session, and at 2 KB each some 2 MB. One read
 * more (64 KB or so) may come on top, since a chunk is taken whole.
 */
export const WAITING_MAX = 1024;

/** A hidden page gets no animation frames: there, and where there are none at all, this is how long a batch grows. */
const FRAME_MS = 16;
const HIDDEN_FRAME_MS = 250;

export class Outlet {
  /** Up to and with this seq, all has been handed out. */
  cursor: number;
  status: Status = { state: "connecting", attempt: 0 };
  /** The last status, once it has been told. */
  readonly ended: Promise<Status>;

  readonly #options: ConnectOptions;
  readonly #counters: Counters;
  #queue: Item[] = [];
  #pulled: boolean;
  /** Whoever iterates has an event and did not ask for the next: it may fail at it. */
  #dealing = false;
  /** While an `onReset` loads, and while callbacks run, which may call back here. */
  #paused = false;
  /** Takes the frame back that was asked for. */
  #unschedule: (() => void) | undefined;
  #over = false;
  #keptCursor: number;
  #resolveEnded: (status: Status) => void = () => {};
  /** Called when something was put or handed out: the reader looks for room, and whoever iterates for an event. */
  #waiting: (() => void)[] = [];

  constructor(after: number, options: ConnectOptions, counters: Counters) {
    this.cursor = this.#keptCursor = after;
    this.#options = options;
    this.#counters = counters;
    // With nobody to hand events to, they wait for the one who iterates.
    this.#pulled = !options.onEvent && !options.onEvents;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Takes what comes next. */
  put(item: Item): void {
    if (this.#over) return;
    this.#queue.push(item);
  }

  /** Hands out what was put, now or with the next frame. */
  flush(): void {
    if (this.#over) return;
    if (this.#options.coalesce !== "frame" || this.#pulled) this.#drain();
    else
      this.#unschedule ??= onFrame(() => {
        this.#unschedule = undefined;
        this.#drain();
      });
  }

  /** Resolves at once if more may be put, and else when some of it has been handed out. */
  async room(): Promise<void> {
    while (!this.#over && this.#queue.length >= WAITING_MAX) {
      await this.#change();
    }
  }

  /** Ends it now: what waits is dropped, the cursor says where. */
  stop(status: Status): void {
    if (this.#over) return;
    this.#queue = [];
    this.#tell(status);
    this.#wake();
  }

  /** Whether nothing more will be handed out. */
  get over(): boolean {
    return this.#over;
  }

  /** The next event for the one who iterates; undefined at the end. */
  async pull(): Promise<HoldfastEvent | undefined> {
    this.#pulled = true;
    this.#dealing = false;
    this.#keep();
    for (;;) {
      this.#drain();
      const item = this.#paused ? undefined : this.#queue.shift();
      if (item?.kind === "event") {
        this.#hand([item.event]);
        this.#dealing = true;
        this.#wake();
        return item.event;
      }
      if (this.#over) return undefined;
      await this.#change();
    }
  }

  /** Hands out in order, up to the first event if events are pulled, or up to a reset that takes its time. */
  #drain(): void {
    if (this.#paused) return;
    this.#paused = true;
    let loading: unknown;
    for (let item = this.#queue[0]; item && !loading; item = this.#queue[0]) {
      if (item.kind !== "event") {
        this.#queue.shift();
        loading = this.#act(item);
      } else if (this.#pulled) break;
      else {
        const events: HoldfastEvent[] = [];
        for (const next of this.#queue) {
          if (next.kind !== "event") break;
          events.push(next.event);
        }
        this.#queue.splice(0, events.length);
        this.#hand(events);
        this.#keep();
      }
    }
    const goOn = () => {
      this.#paused = false;
      this.#wake();
    };
    if (!loading) {
      goOn();
      return;
    }
    // A state that can't be loaded is the caller's to tell: its rejection stays unhandled here, and events go on.
    Promise.resolve(loading).finally(() => {
      goOn();
      this.#drain();
    });
  }

  #hand(events: HoldfastEvent[]): void {
    const { onEvent, onEvents } = this.#options;
    for (const event of events) {
      // A callback may have closed the connection.
      if (this.#over) return;
      this.cursor = event.seq;
      this.#counters.events++;
      guarded(onEvent, event);
    }
    if (!this.#over) guarded(onEvents, events);
  }

  /** Returns what has to be waited for, if anything. */
  #act(item: Exclude<Item, { kind: "event" }>): unknown {
    const { onCaughtUp, onReset } = this.#options;
    if (item.kind === "status") this.#tell(item.status);
    else if (item.kind === "move") this.cursor = item.seq;
    else if (item.kind === "reset") {
      this.cursor = item.reset.seq;
      return guarded(onReset, item.reset);
    } else if (item.name === "caught-up") guarded(onCaughtUp, Number(item.data.head) || this.cursor);
    return undefined;
  }

  #tell(status: Status): void {
    this.status = status;
    if (status.state === "ended" || status.state === "failed") {
      this.#over = true;
      this.#unschedule?.();
      this.#keep();
      this.#resolveEnded(status);
    }
    guarded(this.#options.onStatus, status);
  }

  /** After its events were dealt with: a page that dies in between gets them again. */
  #keep(): void {
    const { store } = this.#options;
    if (!store || this.#dealing || this.cursor === this.#keptCursor) return;
    this.#keptCursor = this.cursor;
    try {
      store.storage.setItem(store.key, String(this.cursor));
    } catch {
      // Full or forbidden: the next page begins where this one began.
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Calls back; what the callback throws is reported like any uncaught error, and harms nobody else. */
export function guarded<Argument, Result>(callback: ((argument: Argument) => Result) | undefined, argument: Argument) {
  try {
    return callback?.(argument);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
    return undefined;
  }
}

/** Runs with the next frame. They stop while a page is hidden, also one that was asked for before: hence the timer. */
function onFrame(run: () => void): () => void {
  const frame = globalThis.requestAnimationFrame?.(once);
  const timer = setTimeout(once, frame === undefined ? FRAME_MS : HIDDEN_FRAME_MS);
  function cancel() {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  }
  function once() {
    cancel();
    run();
  }
  return cancel;
}
