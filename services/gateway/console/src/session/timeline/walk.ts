/** Going from bar to bar with the keyboard. Pure. */

import type { Layout, Row } from "./layout.ts";
import type { Span } from "./spans.ts";

export interface Spot {
  readonly row: number;
  readonly span: Span;
}

export type Direction = "left" | "right" | "up" | "down" | "first" | "last";

/** Return where a span is drawn. */
export function spotOf(layout: Layout, id: string): Spot | null {
  for (const [at, row] of layout.rows.entries()) {
    const span = row.spans.find((candidate) => candidate.id === id);
    if (span) return { row: at, span };
  }
  return null;
}

/** Return the bar that lies in a direction: beside it in its row, or nearest in time in the next row that has any. */
export function step(layout: Layout, from: Spot, direction: Direction): Spot {
  const spans = layout.rows[from.row]?.spans ?? [];
  const at = spans.indexOf(from.span);
  switch (direction) {
    case "left":
      return beside(from, spans[at - 1]);
    case "right":
      return beside(from, spans[at + 1]);
    case "first":
      return beside(from, spans[0]);
    case "last":
      return beside(from, spans.at(-1));
    case "up":
      return across(layout, from, -1);
    case "down":
      return across(layout, from, 1);
  }
}

/** A part of the picture: rows from inclusive to exclusive, and the time between two moments. */
export interface Region {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

/** Return whether a bar is in a region, in part at least. */
export function isWithin({ row, span }: Spot, { from, to, start, end }: Region): boolean {
  return row >= from && row < to && span.start <= end && (span.end ?? Number.POSITIVE_INFINITY) >= start;
}

/** Return the first bar in a region, row by row. */
export function firstWithin(layout: Layout, region: Region): Spot | null {
  for (let row = region.from; row < Math.min(region.to, layout.rows.length); row++) {
    for (const span of layout.rows[row]?.spans ?? []) {
      if (isWithin({ row, span }, region)) return { row, span };
    }
  }
  return null;
}

const beside = (from: Spot, span: Span | undefined): Spot => (span ? { row: from.row, span } : from);

function across(layout: Layout, from: Spot, by: 1 | -1): Spot {
  for (let at = from.row + by; at >= 0 && at < layout.rows.length; at += by) {
    const span = nearest(layout.rows[at] as Row, from.span.start);
    if (span) return { row: at, span };
  }
  return from;
}

function nearest(row: Row, time: number): Span | undefined {
  let best: Span | undefined;
  for (const span of row.spans) {
    if (!best || distance(span, time) < distance(best, time)) best = span;
  }
  return best;
}

function distance(span: Span, time: number): number {
  const end = span.end ?? Number.POSITIVE_INFINITY;
  if (time < span.start) return span.start - time;
  return time > end ? time - end : 0;
}
