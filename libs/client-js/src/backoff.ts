import type { Backoff } from "./types.js";

/** 200 ms is less than a person notices; after an outage every client is back within ten seconds. */
export const BACKOFF: Backoff = { firstMs: 200, mostMs: 10_000 };

/** After a cut on purpose, which is no failure: long enough to be seen, and nobody else comes back at this moment. */
const CUT_FIRST_MS = 100;
const CUT_MOST_MS = 400;

/** A server may ask for more, but not for more than a minute: a typo there must not end a client. */
const ASKED_MOST_MS = 60_000;

/** 2^16 × 200 ms is hours beyond any bound; it only keeps the power of two a small number. */
const DOUBLINGS_MAX = 16;

/**
 * How long to wait after `failures` (at least 1) in a row: what the server asked for, and on top anything up to a bound
 * that doubles per failure, so that not all come back at once.
 */
export function delayMs({ firstMs, mostMs }: Backoff, failures: number, askedMs = 0): number {
  const most = Math.min(mostMs, firstMs * 2 ** Math.min(failures, DOUBLINGS_MAX));
  return Math.min(askedMs, ASKED_MOST_MS) + Math.random() * most;
}

/** How long to wait after a cut on purpose. */
export function cutDelayMs(): number {
  return CUT_FIRST_MS + Math.random() * (CUT_MOST_MS - CUT_FIRST_MS);
}

/** Waits, but not for longer than until `signal` is aborted, or until what `early` listens to happens. */
export function pause(ms: number, signal?: AbortSignal, early?: (run: () => void) => () => void): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      unlisten?.();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const unlisten = early?.(done);
    signal?.addEventListener("abort", done);
  });
}
