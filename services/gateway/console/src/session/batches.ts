/** Events one by one → batches: a frame's events come in one turn, and whoever counts or draws them does it once. */

import type { HoldfastEvent } from "@holdfast/client";

export type Listener = (events: readonly HoldfastEvent[]) => void;

export class Batches {
  readonly sessionId: string;
  readonly #listeners = new Set<Listener>();
  #waiting: HoldfastEvent[] = [];

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  /** Bound, to be handed around. */
  readonly add = (event: HoldfastEvent): void => {
    // Between two sessions the hook may still tell of the last one's.
    if (event.session_id !== this.sessionId) return;
    this.#waiting.push(event);
    if (this.#waiting.length === 1) queueMicrotask(this.#tell);
  };

  /** Call back for every batch; returns what ends it. */
  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly #tell = (): void => {
    const events = this.#waiting;
    this.#waiting = [];
    for (const listener of [...this.#listeners]) listener(events);
  };
}
