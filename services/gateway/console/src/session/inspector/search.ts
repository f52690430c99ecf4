/**
 * Looks through a log of any length for the events that somebody wants. Types are the gateway's to filter, which looks
 * at an index; agents and texts are looked for here, in one page after another.
 */

import { eventsOf, PAGE_LIMIT_MAX, type ReadPage, type WireEvent } from "./wire.ts";

export interface Filter {
  /** Types and families as the gateway takes them; empty for all. */
  readonly types: readonly string[];
  readonly agent: string;
  /** Anywhere in an event's JSON, in any case. */
  readonly text: string;
}

export const NO_FILTER: Filter = { types: [], agent: "", text: "" };

/** Two hundred screens: who needs more needs a narrower filter. */
export const MATCHES_MAX = 5_000;

/** What found events may weigh together, in characters of JSON. */
const CHARS_MAX = 8_000_000;

export interface Found {
  readonly matches: readonly WireEvent[];
  /** Everything up to here was looked at. */
  readonly through: number;
  /** There may be more: the bound was reached. */
  readonly full: boolean;
}

export function isEmpty(filter: Filter): boolean {
  return filter.types.length === 0 && filter.agent === "" && filter.text === "";
}

/** Return whether an event is wanted. Its types are looked at, too: for events that come live. */
export function matches(filter: Filter, { event, body }: WireEvent): boolean {
  const { types, agent, text } = filter;
  if (types.length > 0 && !types.some((type) => covers(type, event.type))) return false;
  if (agent !== "" && (event.agent ?? "") !== agent) return false;
  return text === "" || body.toLowerCase().includes(text.toLowerCase());
}

function covers(wanted: string, type: string): boolean {
  return wanted.endsWith(".*") ? type.startsWith(wanted.slice(0, -1)) : wanted === type;
}

/**
 * Look from `after` to `until` and tell of every page, with all that was found so far. Ends early when there is enough,
 * or when `signal` says so; rejects with what the reader rejects with.
 */
export async function search(
  read: ReadPage,
  filter: Filter,
  range: { readonly after: number; readonly until: number },
  signal: AbortSignal,
  onFound: (found: Found) => void,
  before: readonly WireEvent[] = [],
): Promise<void> {
  const found: WireEvent[] = [...before];
  let chars = found.reduce((sum, item) => sum + item.body.length, 0);
  const types = filter.types.length > 0 ? filter.types.join(",") : undefined;
  let after = range.after;
  while (after < range.until && !signal.aborted) {
    const page = await read({ after, limit: PAGE_LIMIT_MAX, types, signal });
    for (const item of eventsOf(page)) {
      if (!matches(filter, item)) continue;
      found.push(item);
      chars += item.body.length;
      if (found.length >= MATCHES_MAX || chars >= CHARS_MAX) {
        onFound({ matches: [...found], through: item.event.seq, full: true });
        return;
      }
    }
    // A page that gets nowhere would be asked for again for ever.
    if (page.nextAfter <= after) break;
    after = page.nextAfter;
    onFound({ matches: [...found], through: after, full: false });
  }
}
