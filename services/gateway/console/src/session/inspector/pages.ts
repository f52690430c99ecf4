/**
 * A bounded window into a log of any length: pages of events by seq, loaded when somebody looks at them.
 *
 * Page n holds the seqs from `n * PAGE_SEQS + 1` to `(n + 1) * PAGE_SEQS`, so that the same seqs are always the same
 * request. What was looked at longest ago goes first.
 */

import { eventsOf, type ReadPage, type WireEvent } from "./wire.ts";

/** Twenty screens of rows would be 800; one request for 200 is some 80 kB and 10 ms. */
export const PAGE_SEQS = 200;

/** What all pages together may weigh, in characters of JSON: with the parsed events, three times that in memory. */
const CHARS_MAX = 8_000_000;

/** Requests at once: one for what is on the screen, one for what comes next. */
const LOADS_MAX = 2;

/** A seq's place is `loading` until its page is here, and `absent` when the log no longer has it. */
export type Place = WireEvent | "loading" | "absent";

interface Loaded {
  readonly events: ReadonlyMap<number, WireEvent>;
  /** All seqs of the page up to here were asked for: beyond it, events have come since. */
  readonly through: number;
  readonly chars: number;
}

/** Reads pages on demand and forgets the oldest. Tells its listeners when something changed. */
export class EventPages {
  readonly #read: ReadPage;
  readonly #loaded = new Map<number, Loaded>();
  readonly #loading = new Map<number, AbortController>();
  readonly #listeners = new Set<() => void>();
  #wanted: readonly number[] = [];
  #chars = 0;
  #head = 0;
  #minSeq = 1;
  #version = 0;
  #error: unknown = null;

  constructor(read: ReadPage) {
    this.#read = read;
  }

  /** What went wrong with the latest page, null when it came. */
  get error(): unknown {
    return this.#error;
  }

  /** Changes whenever a listener is told. */
  get version(): number {
    return this.#version;
  }

  /** How many pages are held. */
  get size(): number {
    return this.#loaded.size;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Return what is known of a seq, without asking for more. */
  at(seq: number): Place {
    const page = this.#loaded.get(pageOf(seq));
    if (page === undefined) return "loading";
    return page.events.get(seq) ?? (seq <= page.through || seq > this.#head ? "absent" : "loading");
  }

  /** Make the seqs from `first` to `last` come, and let go of requests for what nobody looks at any more. */
  want(first: number, last: number, { minSeq, head }: { readonly minSeq: number; readonly head: number }): void {
    this.#head = head;
    this.#minSeq = minSeq;
    const wanted: number[] = [];
    for (let page = pageOf(Math.max(first, 1)); page <= pageOf(Math.max(last, 1)); page += 1) wanted.push(page);
    this.#wanted = wanted;
    for (const page of wanted) {
      // Looked at now: the last to be forgotten.
      const known = this.#loaded.get(page);
      if (known !== undefined) {
        this.#loaded.delete(page);
        this.#loaded.set(page, known);
      }
    }
    for (const [page, load] of this.#loading) if (!wanted.includes(page)) load.abort();
    this.#next();
  }

  /** Ask again for what failed. */
  retry(): void {
    this.#error = null;
    this.#next();
  }

  /** Forget everything and let go of every request. */
  close(): void {
    this.#wanted = [];
    for (const load of this.#loading.values()) load.abort();
    this.#loaded.clear();
    this.#chars = 0;
  }

  #next(): void {
    if (this.#error !== null) return;
    for (const page of this.#wanted) {
      if (this.#loading.size >= LOADS_MAX) return;
      if (!this.#loading.has(page) && !this.#complete(page)) void this.#load(page);
    }
  }

  #complete(page: number): boolean {
    const known = this.#loaded.get(page);
    return known !== undefined && known.through >= Math.min(lastOf(page), this.#head);
  }

  async #load(page: number): Promise<void> {
    const load = new AbortController();
    this.#loading.set(page, load);
    try {
      // The end of the log grows: only what is new of its page is asked for.
      const known = this.#loaded.get(page);
      // Before the first seq that is kept nothing may be asked for.
      const after = known?.through ?? Math.max(page * PAGE_SEQS, this.#minSeq - 1);
      const answer = await this.#read({ after, limit: lastOf(page) - after, signal: load.signal });
      // A log that ends earlier than somebody said must not be asked for the rest for ever.
      if (answer.nextAfter <= after) this.#head = Math.min(this.#head, answer.head, after);
      this.#keep(page, known, eventsOf(answer), Math.min(answer.nextAfter, lastOf(page)));
    } catch (error) {
      if (!load.signal.aborted) this.#error = error;
    } finally {
      this.#loading.delete(page);
      this.#tell();
      this.#next();
    }
  }

  #keep(page: number, known: Loaded | undefined, fresh: readonly WireEvent[], through: number): void {
    const events = new Map(known?.events);
    let chars = known?.chars ?? 0;
    for (const item of fresh) {
      if (pageOf(item.event.seq) !== page) continue;
      events.set(item.event.seq, item);
      chars += item.body.length;
    }
    this.#chars += chars - (known?.chars ?? 0);
    this.#loaded.delete(page);
    this.#loaded.set(page, { events, through, chars });
    for (const [oldest, { chars: freed }] of this.#loaded) {
      if (this.#chars <= CHARS_MAX || this.#wanted.includes(oldest)) break;
      this.#loaded.delete(oldest);
      this.#chars -= freed;
    }
  }

  #tell(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }
}

function pageOf(seq: number): number {
  return Math.floor((seq - 1) / PAGE_SEQS);
}

function lastOf(page: number): number {
  return (page + 1) * PAGE_SEQS;
}
