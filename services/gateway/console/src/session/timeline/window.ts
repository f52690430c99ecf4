/** The part of a timeline that is looked at, and how it is moved. Pure: drawn milliseconds in and out. */

import type { Scale } from "./scale.ts";

export interface Window {
  readonly from: number;
  readonly to: number;
}

/** What is looked at: all of it, as it grows; or a stretch of real time, so that it stays where breaks move. */
export type Look = { readonly fit: true } | { readonly fit: false; readonly start: number; readonly end: number };

export const FIT: Look = { fit: true };

/** Closer than 20 ms across a screen is below what clocks of two machines agree on. */
export const LENGTH_MIN_MS = 20;

/** Room behind the last bar, so that its end is seen and its label has a place. */
const TAIL_SHARE = 0.06;

/** Return all of it. */
export function whole(scale: Scale): Window {
  return { from: -scale.length * 0.008, to: scale.length * (1 + TAIL_SHARE) };
}

/** Return the window of a look. */
export function windowOf(look: Look, scale: Scale): Window {
  if (look.fit) return whole(scale);
  const from = scale.toDrawn(look.start);
  return { from, to: Math.max(scale.toDrawn(look.end), from + LENGTH_MIN_MS) };
}

/** Return a window as a look; one that holds everything is a fit, and grows from then on. */
export function lookOf(view: Window, scale: Scale): Look {
  const all = whole(scale);
  if (view.from <= all.from && view.to >= all.to) return FIT;
  return { fit: false, start: scale.toTime(view.from), end: scale.toTime(view.to) };
}

/** Return the window `factor` times as long, with what is at `share` of its width staying there. */
export function zoomed(view: Window, factor: number, share: number, scale: Scale): Window {
  const all = whole(scale);
  const most = all.to - all.from;
  const length = Math.min(Math.max((view.to - view.from) * factor, Math.min(LENGTH_MIN_MS, most)), most);
  const fixed = view.from + (view.to - view.from) * share;
  return clamped({ from: fixed - length * share, to: fixed + length * (1 - share) }, all);
}

/** Return the window moved by a share of its own length. */
export function panned(view: Window, share: number, scale: Scale): Window {
  const by = (view.to - view.from) * share;
  return clamped({ from: view.from + by, to: view.to + by }, whole(scale));
}

/** Return the window moved no further than needed to show `from` to `to`, or its beginning if it is longer. */
export function revealing(view: Window, from: number, to: number, scale: Scale): Window {
  const length = view.to - view.from;
  const margin = length * 0.05;
  let start = view.from;
  if (to > view.to) start = to + margin - length;
  if (from < start) start = from - margin;
  return start === view.from ? view : clamped({ from: start, to: start + length }, whole(scale));
}

function clamped(view: Window, all: Window): Window {
  const length = view.to - view.from;
  const from = Math.min(Math.max(view.from, all.from), Math.max(all.to - length, all.from));
  return { from, to: from + length };
}
