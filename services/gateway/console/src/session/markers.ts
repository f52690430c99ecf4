/** The few events whose history the fold doesn't keep: those before the snapshot loaded, those after it as they come. */

import type { Client, HoldfastEvent } from "@holdfast/client";
import { MARKER_TYPES, MARKERS_MAX } from "./contract.ts";

const PAGE = 500;

const WANTED: ReadonlySet<string> = new Set(MARKER_TYPES);

/** Keeps the newest `MARKERS_MAX` of them, in seq order. `all` is another array whenever something was added. */
export class Markers {
  all: readonly HoldfastEvent[] = [];
  readonly #client: Client;
  readonly #sessionId: string;
  readonly #listeners = new Set<() => void>();
  #stop = new AbortController();
  #before: HoldfastEvent[] = [];
  #since: HoldfastEvent[] = [];

  constructor(client: Client, sessionId: string) {
    this.#client = client;
    this.#sessionId = sessionId;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Begin anew: what is there from `minSeq` on comes page by page. What comes meanwhile is to be added. */
  load(minSeq: number): void {
    this.stop();
    this.#stop = new AbortController();
    this.#before = [];
    this.#since = [];
    this.#join();
    void this.#read(minSeq - 1, this.#stop.signal);
  }

  /** Add what of new events is one of them. Bound, to be handed around. */
  readonly add = (events: readonly HoldfastEvent[]): void => {
    const fresh = events.filter((event) => WANTED.has(event.type));
    if (fresh.length === 0) return;
    this.#since = [...this.#since, ...fresh].slice(-MARKERS_MAX);
    this.#join();
  };

  stop(): void {
    this.#stop.abort();
  }

  async #read(after: number, signal: AbortSignal): Promise<void> {
    for (let at = after, more = true; more && !signal.aborted; ) {
      try {
        const query = { after: at, limit: PAGE, types: MARKER_TYPES };
        const page = await this.#client.events(this.#sessionId, query, { signal });
        if (signal.aborted) return;
        this.#before = [...this.#before, ...page.items].slice(-MARKERS_MAX);
        more = page.next_after > at && page.next_after < page.head;
        at = page.next_after;
        this.#join();
      } catch {
        // Without them the page lacks some ornaments and nothing else; the client has tried thrice.
        break;
      }
    }
  }

  #join(): void {
    // The stream may have brought some already that the pages bring, too.
    const last = this.#before.at(-1)?.seq ?? 0;
    const since = this.#since.filter((event) => event.seq > last);
    this.all = [...this.#before, ...since].slice(-MARKERS_MAX);
    for (const listener of [...this.#listeners]) listener();
  }
}
