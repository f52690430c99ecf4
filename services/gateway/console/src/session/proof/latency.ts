/** How long events take from the worker to this page, as far as two clocks can tell. Pure. */

/** Two minutes at two events a second, and what a sparkline has pixels for. */
export const SAMPLES_MAX = 240;

export interface LatencyStats {
  /** Each delivery's delay beyond the fastest, oldest first. */
  readonly delays: readonly number[];
  readonly last: number;
  readonly median: number;
  readonly p95: number;
  readonly most: number;
  /** What was taken off: the clocks' difference and the fastest delivery, which nobody can tell apart. */
  readonly offset: number;
  readonly count: number;
}

/**
 * Measures deliveries. An event carries the time by its worker's clock, which may differ from this machine's by more than
 * any delivery takes; so the fastest one seen counts as nothing, and the others as how much longer they took.
 */
export class LatencyMeter {
  readonly #raw: number[] = [];
  #count = 0;

  /** Take note of an event that was made at `sent` by its own clock and came at `received` by ours. */
  add(sent: number, received: number): void {
    if (Number.isNaN(sent)) return;
    this.#count++;
    this.#raw.push(received - sent);
    if (this.#raw.length > SAMPLES_MAX) this.#raw.shift();
  }

  /** Return what was measured, or null before the first. */
  stats(): LatencyStats | null {
    if (this.#raw.length === 0) return null;
    const offset = this.#raw.reduce((least, raw) => Math.min(least, raw));
    const delays = this.#raw.map((raw) => raw - offset);
    const sorted = [...delays].sort((a, b) => a - b);
    return {
      delays,
      offset,
      count: this.#count,
      last: delays.at(-1) ?? 0,
      median: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
      most: sorted.at(-1) ?? 0,
    };
  }
}

/** Return the value below which a share of sorted values lies: one of them, never between two. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
