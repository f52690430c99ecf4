/** The scrubber's length as seqs or as time: where a seq is on it, and what is drawn along it. Pure. */

import { type Scale, scaleOf } from "../timeline/scale.ts";
import { FAMILIES, type Family, type Survey } from "./survey.ts";

export type Axis = "seq" | "time";

export interface Track {
  readonly axis: Axis;
  /** Where a seq is, from 0 to 1. */
  shareOf(seq: number): number;
  /** The seq at a place. */
  seqAt(share: number): number;
  /** When a seq was, as far as it is known; null when nothing is. */
  timeAt(seq: number): number | null;
}

/** A column of the picture: how busy it was, and with what. Shares add up to `height`, at most 1. */
export interface Column {
  readonly height: number;
  readonly parts: readonly { readonly family: Family; readonly share: number }[];
}

interface Known {
  readonly minSeq: number;
  readonly head: number;
  readonly survey: Survey;
}

/** Return the track of a log along an axis; without any knowledge of times it is along seqs. */
export function trackOf(axis: Axis, known: Known): Track {
  const { minSeq, head, survey } = known;
  const times = new Times(survey, minSeq, head);
  const span = Math.max(head - minSeq, 1);
  const clamp = (share: number) => Math.min(1, Math.max(0, share));
  const timeAt = (seq: number) => times.timeAt(seq);
  if (axis === "time" && times.scale !== null) {
    const scale = times.scale;
    return {
      axis,
      shareOf: (seq) => clamp(scale.toDrawn(times.timeAt(seq) ?? scale.start) / scale.length),
      seqAt: (share) => Math.min(head, Math.max(minSeq, times.seqAt(scale.toTime(clamp(share) * scale.length)))),
      timeAt,
    };
  }
  return {
    axis: "seq",
    shareOf: (seq) => clamp((seq - minSeq) / span),
    seqAt: (share) => Math.round(minSeq + clamp(share) * span),
    timeAt,
  };
}

/** Return the columns of a track, left to right. A column's height is the rate of its events, on a root scale. */
export function columnsOf(track: Track, survey: Survey, count: number): Column[] {
  const bins = Array.from({ length: count }, () => ({ events: 0, first: 0, last: 0, of: new Map<Family, number>() }));
  for (const mark of survey.marks) {
    const bin = bins[Math.min(count - 1, Math.floor(track.shareOf(mark.seq) * count))];
    if (!bin) continue;
    if (bin.events === 0) bin.first = mark.time;
    bin.last = mark.time;
    bin.events += mark.weight;
    bin.of.set(mark.family, (bin.of.get(mark.family) ?? 0) + mark.weight);
  }
  // Along seqs every column has as many events: what differs is how long they took.
  const rate = (bin: (typeof bins)[number], at: number): number => {
    if (track.axis === "time" || bin.events === 0) return bin.events;
    const next = bins.slice(at + 1).find(({ events }) => events > 0)?.first ?? bin.last;
    return bin.events / Math.max(next - bin.first, 20);
  };
  const rates = bins.map(rate);
  const most = rates.reduce((a, b) => Math.max(a, b), 0) || 1;
  return bins.map((bin, at) => {
    const height = bin.events === 0 ? 0 : Math.max(Math.sqrt((rates[at] ?? 0) / most), 0.12);
    const parts = FAMILIES.filter((family) => bin.of.has(family)).map((family) => ({
      family,
      share: ((bin.of.get(family) ?? 0) / bin.events) * height,
    }));
    return { height, parts };
  });
}

/** What is known of when seqs were: exact at the marks, a straight line between them. */
class Times {
  readonly #marks: Survey["marks"];
  readonly scale: Scale | null;
  readonly #range: readonly [number, number];

  constructor(survey: Survey, minSeq: number, head: number) {
    this.#marks = survey.marks;
    this.#range = [minSeq, head];
    const [first, last] = [survey.marks[0], survey.marks.at(-1)];
    this.scale = first && last && last.time > first.time ? this.#scale(survey, first.time, last.time) : null;
  }

  // Silence between two events that follow each other is known; between samples nobody looked.
  #scale(survey: Survey, start: number, end: number): Scale {
    const busy: [number, number][] = [];
    survey.marks.forEach((mark, at) => {
      const next = survey.marks[at + 1];
      busy.push([mark.time, next && next.seq > mark.seq + 1 ? next.time : mark.time]);
    });
    return scaleOf(busy, start, end, true);
  }

  timeAt(seq: number): number | null {
    const at = this.#after((mark) => mark.seq <= seq);
    const [before, after] = [this.#marks[at - 1], this.#marks[at]];
    if (!before) return after?.time ?? null;
    if (!after || before.seq === seq) return before.time;
    return before.time + ((seq - before.seq) / (after.seq - before.seq)) * (after.time - before.time);
  }

  /** The last seq at or before a time. */
  seqAt(time: number): number {
    const at = this.#after((mark) => mark.time <= time);
    const [before, after] = [this.#marks[at - 1], this.#marks[at]];
    if (!before) return this.#range[0];
    if (!after) return this.#range[1];
    const share = (time - before.time) / Math.max(after.time - before.time, 1);
    return Math.floor(before.seq + share * (after.seq - before.seq));
  }

  #after(holds: (mark: Survey["marks"][number]) => boolean): number {
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const mark = this.#marks[middle];
      if (mark && holds(mark)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
