/** States at block edges, from which any seq of a block is a few hundred events away. */

import type { Client, State } from "@holdfast/client";
import { emptyState, type Folding, fromPlain, toPlain } from "@holdfast/client/fold";
import { BLOCK, blockOf } from "./pages.ts";

/**
 * Snapshots made while playing share their entries with each other; those that were fetched don't, and may weigh 5 MB
 * each in the longest sessions: 16 of them are what a tab may hold.
 */
const SNAPSHOTS_MAX = 16;

/** Gives the state before a block, from what was kept or from the gateway. */
export class Snapshots {
  readonly #client: Pick<Client, "state">;
  readonly #sessionId: string;
  readonly #minSeq: number;
  readonly #kept = new Map<number, State>();

  constructor(client: Pick<Client, "state">, sessionId: string, minSeq: number) {
    this.#client = client;
    this.#sessionId = sessionId;
    this.#minSeq = minSeq;
  }

  /** Return a state to fold on from, at the last edge below `seq`: the caller's own. */
  async before(seq: number): Promise<Folding> {
    const at = blockOf(seq) * BLOCK;
    // Nothing is kept below: the fold of no events is the same without asking.
    if (at < this.#minSeq) return emptyState();
    const kept = this.#kept.get(at);
    if (kept) {
      this.#keep(at, kept);
      return fromPlain(kept);
    }
    const fetched = (await this.#client.state(this.#sessionId, { at })) as unknown as State;
    this.#keep(at, fetched);
    return fromPlain(fetched);
  }

  /** Return whether the state before `seq`'s block is at hand. */
  has(seq: number): boolean {
    const at = blockOf(seq) * BLOCK;
    return at < this.#minSeq || this.#kept.has(at);
  }

  /** Keep a state that was folded up to a block's edge. */
  offer(state: State): void {
    if (state.seq % BLOCK === 0 && state.seq > 0 && !this.#kept.has(state.seq)) this.#keep(state.seq, toPlain(state));
  }

  #keep(at: number, state: State): void {
    this.#kept.delete(at);
    this.#kept.set(at, state);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= SNAPSHOTS_MAX) break;
      this.#kept.delete(oldest);
    }
  }
}
