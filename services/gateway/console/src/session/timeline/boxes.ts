/** Where the bars of one row are, in pixels. Bars too short to tell apart are one box that counts them. Pure. */

import type { Scale } from "./scale.ts";
import type { Span } from "./spans.ts";
import type { Window } from "./window.ts";

/** How moments become pixels. */
export interface Projection {
  readonly scale: Scale;
  readonly view: Window;
  readonly width: number;
  readonly now: number;
}

export interface Box {
  readonly x: number;
  readonly width: number;
  readonly span: Span;
  /** How many spans it stands for. */
  readonly count: number;
  /** Any of them failed. */
  readonly failed: boolean;
  /** Free pixels behind it, for a name that doesn't fit inside. */
  readonly room: number;
}

/** A bar is at least so wide, else nobody could see or press it. */
export const BAR_MIN_PX = 4;

/** Bars no wider than the least, and closer than this, are drawn as one. */
const MERGE_PX = 2;

/** Return a moment's place. */
export function pixelOf(time: number, { scale, view, width }: Projection): number {
  return ((scale.toDrawn(time) - view.from) / (view.to - view.from)) * width;
}

/** Return the boxes of spans in order of time; `keep` is never merged away (it has the focus). */
export function boxesOf(spans: readonly Span[], projection: Projection, keep: string | null = null): Box[] {
  const { width, now } = projection;
  const open: { x: number; right: number; span: Span; count: number; failed: boolean }[] = [];
  for (let at = firstVisible(spans, projection); at < spans.length; at++) {
    const span = spans[at] as Span;
    const x = pixelOf(span.start, projection);
    if (x > width) break;
    const right = Math.max(pixelOf(span.end ?? Math.max(now, span.start), projection), x + BAR_MIN_PX);
    if (right < 0) continue;
    const last = open.at(-1);
    const short = right - x <= BAR_MIN_PX && span.id !== keep;
    if (last && short && last.span.id !== keep && x - last.right < MERGE_PX && (last.count > 1 || isShort(last))) {
      last.right = right;
      last.count++;
      last.failed ||= span.status === "failed";
    } else {
      open.push({ x, right, span, count: 1, failed: span.status === "failed" });
    }
  }
  return open.map(({ x, right, span, count, failed }, at) => {
    const next = open[at + 1]?.x ?? width;
    return { x, width: right - x, span, count, failed, room: Math.max(0, next - right) };
  });
}

const isShort = (box: { x: number; right: number }): boolean => box.right - box.x <= BAR_MIN_PX;

// None lies over another, so ends are in order as well.
function firstVisible(spans: readonly Span[], { scale, view }: Projection): number {
  const from = scale.toTime(view.from);
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const end = (spans[middle] as Span).end;
    if (end !== null && end < from) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
