/** What time it is for a timeline: its events carry the worker's clock, and a browser's may be off by minutes. */

/** Below this the clocks agree well enough, and correcting would only make bars twitch. */
const AGREED_MS = 1_500;

/**
 * The worker's time as far as a reader can know it. Each event that arrives live says how far the clocks are apart;
 * the least seen is the nearest to the truth, since the rest was under way for longer.
 */
export class WorkerClock {
  #offset: number | null = null;
  #latest = 0;

  /** Take note of the latest moment that anything is known of; `live` when it became known just now. */
  saw(latest: number, now: number, live: boolean): void {
    if (latest <= this.#latest) return;
    this.#latest = latest;
    if (live) this.#offset = Math.min(this.#offset ?? Number.POSITIVE_INFINITY, now - latest);
  }

  /** Return the time, never before what has happened. */
  at(now: number): number {
    const offset = this.#offset !== null && Math.abs(this.#offset) > AGREED_MS ? this.#offset : 0;
    return Math.max(this.#latest, now - offset);
  }
}
