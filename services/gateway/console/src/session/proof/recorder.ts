/** What is remembered of a connection for as long as it exists, whichever parts of the page are shown meanwhile. */

import type { Connection, HoldfastEvent, Status } from "@holdfast/client";
import { type Episode, EpisodeLog } from "./episodes.ts";
import { LatencyMeter, type LatencyStats } from "./latency.ts";

type Followed = Pick<Connection, "cursor" | "status" | "counters" | "cut">;

/** Keeps the episodes of one connection and how fast it delivers. */
export class ProofRecorder {
  readonly #connection: Followed;
  readonly #now: () => number;
  readonly #log = new EpisodeLog();
  readonly #meter = new LatencyMeter();
  #state: Status["state"] | null = null;
  #since = 0;
  /** All up to here came while catching up. */
  #caughtUp = Number.POSITIVE_INFINITY;

  constructor(connection: Followed, now: () => number = Date.now) {
    this.#connection = connection;
    this.#now = now;
  }

  get episodes(): readonly Episode[] {
    return this.#log.episodes;
  }

  get latency(): LatencyStats | null {
    return this.#meter.stats();
  }

  /** Since when the state is what it is, by this machine's clock. */
  get since(): number {
    return this.#since;
  }

  /** Look at a status; one that was seen before changes nothing. */
  observe(status: Status): void {
    const { counters, cursor } = this.#connection;
    if (status.state !== this.#state) {
      this.#state = status.state;
      this.#since = this.#now();
      this.#caughtUp = status.state === "live" ? cursor : Number.POSITIVE_INFINITY;
    }
    this.#log.observe({ status, counters, cursor }, this.#now());
  }

  /**
   * Time what arrived. What is caught up with was made long ago: that is no delivery. Events may be handed on a frame
   * after they came, when the connection is live already; so their seqs tell, not the moment.
   */
  received(events: readonly HoldfastEvent[]): void {
    const now = this.#now();
    for (const event of events) if (event.seq > this.#caughtUp) this.#meter.add(Date.parse(event.ts), now);
  }

  /** Drop the connection on purpose, and write down what comes of it. While it waits there is nothing to drop. */
  cut(): void {
    const { status, counters, cursor } = this.#connection;
    if (status.state === "waiting") return;
    this.#log.cut({ status, counters, cursor }, this.#now());
    this.#connection.cut();
  }
}

const recorders = new WeakMap<Followed, ProofRecorder>();

/** Return the recorder of a connection: the same one for everybody. */
export function recorderOf(connection: Followed): ProofRecorder {
  const known = recorders.get(connection);
  if (known) return known;
  const made = new ProofRecorder(connection);
  recorders.set(connection, made);
  return made;
}
