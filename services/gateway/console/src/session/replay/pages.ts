/** The log in blocks of one page, read when they are wanted and kept for a while. */

import type { Client, EventPage, HoldfastEvent } from "@holdfast/client";

/** Events in a block: as many as one page may hold. */
export const BLOCK = 500;

/** 24 blocks are 12,000 events of 400 bytes: 5 MB, and every step back within them costs no request. */
const BLOCKS_MAX = 24;

/** Return the block that an event is in. Seqs begin at 1: 1 to 500 are block 0. */
export function blockOf(seq: number): number {
  return Math.floor((seq - 1) / BLOCK);
}

interface Block {
  readonly events: readonly HoldfastEvent[];
  /** The last seq that the block accounts for. */
  readonly until: number;
}

/** Reads events by block. A block that was not full yet is read again once more of it is wanted. */
export class Pages {
  readonly #client: Pick<Client, "events">;
  readonly #sessionId: string;
  readonly #minSeq: number;
  readonly #blocks = new Map<number, Block>();
  readonly #reading = new Map<number, Promise<Block>>();

  constructor(client: Pick<Client, "events">, sessionId: string, minSeq: number) {
    this.#client = client;
    this.#sessionId = sessionId;
    this.#minSeq = minSeq;
  }

  /** Return the events of a block, at least those up to `seq`, without waiting; null if they have to be read. */
  have(seq: number): readonly HoldfastEvent[] | null {
    const block = this.#blocks.get(blockOf(seq));
    return block && block.until >= seq ? block.events : null;
  }

  /** Return the events of the block that `seq` is in, at least those up to it. */
  async read(seq: number): Promise<readonly HoldfastEvent[]> {
    const at = blockOf(seq);
    const kept = this.#blocks.get(at);
    if (kept && kept.until >= seq) {
      this.#blocks.delete(at);
      this.#blocks.set(at, kept);
      return kept.events;
    }
    const underWay = this.#reading.get(at);
    if (underWay) {
      const block = await underWay;
      if (block.until >= seq) return block.events;
    }
    const reading = this.#load(at).finally(() => this.#reading.delete(at));
    this.#reading.set(at, reading);
    const block = await reading;
    this.#keep(at, block);
    return block.events;
  }

  async #load(at: number): Promise<Block> {
    const last = (at + 1) * BLOCK;
    const events: HoldfastEvent[] = [];
    // Before the first seq that is kept nothing may be asked for.
    let after = Math.max(at * BLOCK, this.#minSeq - 1);
    for (;;) {
      const page: EventPage = await this.#client.events(this.#sessionId, { after, limit: BLOCK });
      for (const event of page.items) if (event.seq <= last) events.push(event);
      // Compacted history has fewer events than seqs, so a page may reach into the next block.
      const reached = page.items.at(-1)?.seq ?? page.next_after;
      const moved = Math.max(reached, page.next_after);
      if (moved >= last || moved >= page.head || moved <= after) return { events, until: Math.min(last, moved) };
      after = moved;
    }
  }

  #keep(at: number, block: Block): void {
    this.#blocks.delete(at);
    this.#blocks.set(at, block);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= BLOCKS_MAX) break;
      this.#blocks.delete(oldest);
    }
  }
}
