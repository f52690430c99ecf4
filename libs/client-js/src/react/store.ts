/**
 * A session or a run that is being followed, outside of React: a state that moves, and those who listen to it.
 *
 * It is followed while somebody listens. The first listener starts it (a turn later, so that React's mount, unmount and
 * mount again opens one connection), the last one to go closes it; one that comes back goes on after the last event.
 */

import { BACKOFF, delayMs, pause } from "../backoff.js";
import { HoldfastError } from "../errors.js";
import type { HoldfastEvent } from "../events.js";
import type { State } from "../fold/entries.js";
import { apply, emptyState, FOLD_VERSION, type Folding, fromPlain, toPlain } from "../fold/index.js";
import { isPassing } from "../http.js";
import { guarded } from "../outlet.js";
import type { Connection, Counters, Status, StreamOptions } from "../types.js";
import { onWake } from "../wake.js";

/** What a follower may be told of; always the ones of the latest render. */
export interface Callbacks {
  /** Every event, once and in order, after it was folded into the state. Of a snapshot's past there are none. */
  readonly onEvent?: (event: HoldfastEvent) => void;
  /** The same events as they came, a frame's worth at a time. */
  readonly onEvents?: (events: readonly HoldfastEvent[]) => void;
  /** An application's own events, `custom.*`, alone. */
  readonly onData?: (event: HoldfastEvent) => void;
  /** A stream is open: the first, and each that resumed. */
  readonly onOpen?: () => void;
  /** Where the connection stands, at every change: also what a render leaves out, which shows the latest alone. */
  readonly onStatus?: (status: Status, connection: Connection) => void;
  /** It is over for good: nothing follows, or it was refused. Not called when it was closed by unmounting. */
  readonly onClose?: (status: Status) => void;
  /** A refusal for good, or one that passes and is tried again (`status.state` tells which). */
  readonly onError?: (error: HoldfastError, status: Status) => void;
}

/** How the store gets at what it follows. */
export interface Source {
  /** The state as the gateway folded it. */
  snapshot(signal: AbortSignal): Promise<State>;
  stream(options: StreamOptions): Connection;
  /** What to begin with: the snapshot, a state that is had already, or nothing, so that every event comes by. */
  readonly begin: "snapshot" | "start" | State;
}

/** What there is to see at one moment. Never changes; the next moment has its own. */
export interface Moment {
  /** Plain and unchanging: the same list, object or entry (`===`) means that nothing happened to it. */
  readonly state: State;
  /** Whether the state is more than the nothing before the first answer. */
  readonly loaded: boolean;
  readonly status: Status;
  readonly counters: Readonly<Counters>;
  /** What went wrong last, until it is well again. */
  readonly error: HoldfastError | null;
  /** The live connection, to cut, for one; null before there is one. */
  readonly connection: Connection | null;
}

const NOTHING_YET: Counters = { events: 0, resumes: 0, gaps: 0, duplicates: 0, resets: 0 };
const CONNECTING: Status = { state: "connecting", attempt: 0 };

export class FollowStore {
  callbacks: Callbacks = {};

  readonly #source: Source | null;
  readonly #listeners = new Set<() => void>();
  #folding: Folding;
  /** Whether `#folding` holds all up to its seq: else it has to be loaded first. */
  #loaded: boolean;
  #status = CONNECTING;
  #error: HoldfastError | null = null;
  #connection: Connection | null = null;
  #moment: Moment | null = null;
  /** Ends what is under way; aborted means that its results are nobody's any more. */
  #under = new AbortController();
  #telling = false;

  /** Without a source it stays as it is: what there is to follow isn't known yet. */
  constructor(source: Source | null) {
    this.#source = source;
    const begin = source?.begin;
    const had = typeof begin === "object" && begin.fold_version === FOLD_VERSION;
    this.#loaded = had || begin === "start";
    this.#folding = had ? fromPlain(begin) : emptyState();
    this.#under.abort();
  }

  /** Bound, as React wants it. Returns what takes the listener away again. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) queueMicrotask(() => this.#start());
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  };

  /** The moment; the same object until something changes. */
  readonly look = (): Moment => {
    this.#moment ??= {
      state: toPlain(this.#folding),
      loaded: this.#loaded,
      status: this.#status,
      counters: { ...(this.#connection?.counters ?? NOTHING_YET) },
      error: this.#error,
      connection: this.#connection,
    };
    return this.#moment;
  };

  /** Loads the state anew and follows it from there. */
  readonly reload = (): void => {
    if (this.#source?.begin === "start") this.#folding = emptyState();
    else this.#loaded = false;
    this.#stop();
    this.#start();
  };

  #start(): void {
    if (!this.#source || !this.#listeners.size || !this.#under.signal.aborted) return;
    this.#under = new AbortController();
    this.#connection = null;
    this.#status = CONNECTING;
    this.#error = null;
    this.#changed();
    void this.#follow(this.#source, this.#under.signal);
  }

  #stop(): void {
    // The load and the connection end with it.
    this.#under.abort();
  }

  async #follow(source: Source, signal: AbortSignal): Promise<void> {
    if (!this.#loaded) await this.#load(source, signal);
    if (signal.aborted) return;
    const mine =
      <Args extends unknown[]>(run: (...args: Args) => void) =>
      (...args: Args): void => {
        if (!signal.aborted) run(...args);
      };
    const connection: Connection = source.stream({
      after: this.#folding.seq,
      coalesce: "frame",
      signal,
      onEvents: mine((events) => this.#take(events, signal)),
      onStatus: mine((status) => {
        this.#tell(status);
        const { onStatus } = this.callbacks;
        guarded(() => onStatus?.(status, connection), undefined);
      }),
      // What was folded is no longer what the log says. Events wait until the load is done; those that the new state
      // knows already change nothing.
      onReset: () => this.#load(source, signal),
    });
    this.#connection = connection;
    this.#changed();
  }

  #take(events: readonly HoldfastEvent[], signal: AbortSignal): void {
    for (const event of events) apply(this.#folding, event);
    this.#changed();
    for (const event of events) {
      // A callback may have unmounted us.
      if (signal.aborted) return;
      guarded(this.callbacks.onEvent, event);
      if (event.type.startsWith("custom.")) guarded(this.callbacks.onData, event);
    }
    if (!signal.aborted) guarded(this.callbacks.onEvents, events);
  }

  /** Loads the snapshot, as often as it takes. Returns when it is there, or when nobody waits for it any more. */
  async #load(source: Source, signal: AbortSignal): Promise<void> {
    const before = this.#status;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const plain = await source.snapshot(signal);
        if (signal.aborted) return;
        this.#folding = fromPlain(plain);
        this.#loaded = true;
        this.#error = null;
        // Behind a reset the stream has been there all the while.
        if (attempt > 1) this.#tell(before);
        this.#changed();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RangeError) {
          // A gateway with another fold: its events are the same, so they are folded here from the start.
          this.#folding = emptyState();
          this.#loaded = true;
          this.#changed();
          return;
        }
        if (!(error instanceof HoldfastError && isPassing(error.status))) {
          this.#stop();
          this.#tell({ state: "failed", attempt, error: asOurs(error) });
          return;
        }
        const retryInMs = delayMs(BACKOFF, attempt);
        this.#tell({ state: "waiting", attempt, retryInMs, error });
        // Not for longer than until the network or the page is back.
        await pause(retryInMs, signal, onWake);
      }
    }
  }

  #tell(status: Status): void {
    const { onOpen, onError, onClose } = this.callbacks;
    const { state, error } = status;
    const opened = state === "catching-up" && this.#status.state === "connecting";
    this.#status = status;
    if (error) this.#error = error;
    else if (state === "live" || state === "catching-up") this.#error = null;
    this.#changed();
    if (error && onError) guarded(() => onError(error, status), undefined);
    if (opened) guarded(onOpen, undefined);
    if (state === "ended" || state === "failed") guarded(onClose, status);
  }

  /** Tells the listeners once per turn: a frame brings statuses and events together. */
  #changed(): void {
    this.#moment = null;
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

function asOurs(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new HoldfastError({ type: "about:blank", title: "Cannot load", status: 0, code: "load-failed", detail });
}
