/** Where steps begin and end: the places between which a person skips. */

import type { Client } from "@holdfast/client";

/** What counts as a boundary. Tool calls and texts don't: within a step one goes event by event. */
export const BOUNDARIES: readonly string[] = ["run.*", "stage.changed", "step.*", "agent.*", "task.*", "input.*"];

/** Seqs that are looked through first on the way back; four times as many each time nothing is found. */
const WINDOW = 500;

const PAGE = 500;

/** Return the first boundary after a seq, or the head. */
export async function boundaryAfter(
  client: Pick<Client, "events">,
  sessionId: string,
  seq: number,
  head: number,
): Promise<number> {
  let after = seq;
  while (after < head) {
    const page = await client.events(sessionId, { after, limit: 1, types: BOUNDARIES });
    const found = page.items[0];
    if (found) return Math.min(found.seq, head);
    if (page.next_after <= after) break;
    after = page.next_after;
  }
  return head;
}

/** Return the last boundary before a seq, or the first seq that is kept. */
export async function boundaryBefore(
  client: Pick<Client, "events">,
  sessionId: string,
  seq: number,
  minSeq: number,
): Promise<number> {
  let until = seq;
  for (let window = WINDOW; until > minSeq; window *= 4) {
    const from = Math.max(until - window, minSeq);
    let last: number | null = null;
    let after = from - 1;
    while (after < until - 1) {
      const page = await client.events(sessionId, { after, limit: PAGE, types: BOUNDARIES });
      for (const event of page.items) if (event.seq < until) last = event.seq;
      if (page.next_after <= after) break;
      after = page.next_after;
    }
    if (last !== null) return last;
    until = from;
  }
  return minSeq;
}
