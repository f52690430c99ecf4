/** Where the time axis has its marks, and what they say. Pure but for the local time zone. */

import { clock } from "./format.ts";
import type { Scale } from "./scale.ts";
import type { Window } from "./window.ts";

export interface Tick {
  /** Pixels from the left. */
  readonly x: number;
  readonly label: string;
  readonly kind: "time" | "break";
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps that people count in, of each unit. */
const STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 30].map((count) => count * DAY),
];

/** Marks closer than this would run into each other. */
const APART_PX = 84;

/** More marks than pixels / 40 never show; the bound is for windows that aren't drawn yet. */
const TICKS_MAX = 200;

/** Return the step between marks at so many pixels a millisecond. */
export function stepOf(pixelsPerMs: number): number {
  return STEPS.find((step) => step * pixelsPerMs >= APART_PX) ?? (STEPS.at(-1) as number);
}

/** Return the marks of a window `width` pixels wide, left to right. */
export function ticksOf(scale: Scale, view: Window, width: number): Tick[] {
  const perMs = width / (view.to - view.from);
  if (!(perMs > 0) || !Number.isFinite(perMs)) return [];
  const ticks: Tick[] = [];
  const step = stepOf(perMs);
  const put = (at: number) => (at - view.from) * perMs;
  const breaks = scale.breaks.filter((gap) => gap.to > view.from && gap.from < view.to);
  let from = view.from;
  for (const gap of [...breaks, null]) {
    const to = gap ? gap.from : view.to;
    stretch(ticks, scale, from, to, step, put);
    if (gap) {
      ticks.push({ x: put((gap.from + gap.to) / 2), label: "", kind: "break" });
      from = gap.to;
    }
    if (ticks.length > TICKS_MAX) break;
  }
  return ticks;
}

function stretch(
  ticks: Tick[],
  scale: Scale,
  from: number,
  to: number,
  step: number,
  put: (at: number) => number,
): void {
  const start = scale.toTime(from);
  const end = scale.toTime(to);
  // Local midnight, so that hours are whole where people read them.
  const zone = new Date(start).getTimezoneOffset() * MINUTE;
  for (let time = Math.ceil((start - zone) / step) * step + zone; time <= end; time += step) {
    const x = put(scale.toDrawn(time));
    const last = ticks.findLast((tick) => tick.kind === "time");
    if (last && x - last.x < APART_PX * 0.7) continue;
    ticks.push({ x, label: clock(time, step), kind: "time" });
    if (ticks.length > TICKS_MAX) return;
  }
}
