/**
 * Time as it is drawn: stretches in which nothing was at work are folded to a short break, so that a session whose
 * second run came a day after its first still shows both. Pure.
 *
 * A drawn moment ("at") is a number of milliseconds from the first moment, breaks counted at their drawn length.
 */

export interface Break {
  readonly start: number;
  readonly end: number;
  /** Where it is drawn. */
  readonly from: number;
  readonly to: number;
}

export interface Scale {
  readonly start: number;
  readonly end: number;
  /** The drawn length of everything. */
  readonly length: number;
  readonly breaks: readonly Break[];
  toDrawn(time: number): number;
  toTime(at: number): number;
}

export type Interval = readonly [start: number, end: number];

/** Shorter silences are shown as they are: a person reads them as part of the work. */
export const BREAK_MIN_MS = 5_000;

/** A silence is folded when it is longer than this share of all the work. */
const BREAK_SHARE = 0.12;

/** Return how to draw `start` to `end`, of which only `busy` matters; with `folded` false, time as it is. */
export function scaleOf(busy: readonly Interval[], start: number, end: number, folded = true): Scale {
  const merged = union(busy, start, end);
  const work = merged.reduce((sum, [from, to]) => sum + to - from, 0);
  const silent = folded ? silences(merged, start, end) : [];
  const least = Math.max(BREAK_MIN_MS, work * BREAK_SHARE);
  // A power of two: as work goes on, what is drawn shifts a few times, not with every frame.
  const drawn = 2 ** Math.floor(Math.log2(Math.max(work * BREAK_SHARE * 0.5, 250)));
  const breaks: Break[] = [];
  let shift = 0;
  for (const [from, to] of silent) {
    if (to - from < least) continue;
    const at = from - start - shift;
    breaks.push({ start: from, end: to, from: at, to: at + drawn });
    shift += to - from - drawn;
  }
  return new Folded(start, Math.max(end, start + 1), breaks);
}

/** Merge overlapping intervals, in order, within bounds. */
export function union(intervals: readonly Interval[], start: number, end: number): Interval[] {
  const sorted = intervals
    .map(([from, to]): Interval => [Math.max(from, start), Math.min(to, end)])
    .filter(([from, to]) => from <= to)
    .sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

function silences(busy: readonly Interval[], start: number, end: number): Interval[] {
  const silent: Interval[] = [];
  let from = start;
  for (const [next, until] of busy) {
    if (next > from) silent.push([from, next]);
    from = Math.max(from, until);
  }
  if (end > from) silent.push([from, end]);
  return silent;
}

class Folded implements Scale {
  readonly start: number;
  readonly end: number;
  readonly breaks: readonly Break[];
  readonly length: number;

  constructor(start: number, end: number, breaks: readonly Break[]) {
    this.start = start;
    this.end = end;
    this.breaks = breaks;
    this.length = this.toDrawn(end);
  }

  toDrawn(time: number): number {
    const before = this.#last((gap) => gap.start <= time);
    if (!before) return time - this.start;
    if (time >= before.end) return before.to + time - before.end;
    return before.from + ((time - before.start) / (before.end - before.start)) * (before.to - before.from);
  }

  toTime(at: number): number {
    const before = this.#last((gap) => gap.from <= at);
    if (!before) return this.start + at;
    if (at >= before.to) return before.end + at - before.to;
    return before.start + ((at - before.from) / (before.to - before.from)) * (before.end - before.start);
  }

  // Breaks are in order, so that the last for which it holds is found by halving.
  #last(holds: (gap: Break) => boolean): Break | undefined {
    let low = 0;
    let high = this.breaks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.breaks[middle] as Break)) low = middle + 1;
      else high = middle;
    }
    return this.breaks[low - 1];
  }
}
