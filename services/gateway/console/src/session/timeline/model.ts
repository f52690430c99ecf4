/** A state and its markers as a picture: spans, rows and the scale of time. Pure, and made anew only where it changed. */

import type { HoldfastEvent } from "@holdfast/client";
import { type Layout, type LayoutOptions, layoutOf } from "./layout.ts";
import { type Interval, type Scale, scaleOf } from "./scale.ts";
import { type Drawn, isOpen, type Span, type Spans, spansOf, timeOf } from "./spans.ts";

export interface Model {
  readonly spans: Spans;
  readonly layout: Layout;
  /** Something may still happen: time goes on at the right edge. */
  readonly open: boolean;
  readonly start: number;
}

/** A moment of its own, such as a run's start, is shown with so much time around it. */
const POINT_MS = 50;

/** A takeover within the usual lease is shown as long as it took; what went on for longer is folded like any silence. */
const LOST_SHOWN_MS = 30_000;

/** Return the picture of a state. */
export function modelOf(state: Drawn, markers: readonly HoldfastEvent[], options: LayoutOptions = {}): Model {
  const spans = spansOf(state, markers);
  const starts = [...spans.runs.map((run) => timeOf(run.ts)), ...spans.spans.map((span) => span.start)];
  return {
    spans,
    layout: layoutOf(spans, options),
    open: spans.runs.some((run) => isOpen(run.status)),
    start: starts.reduce((least, time) => Math.min(least, time), starts[0] ?? 0),
  };
}

/** Return the scale of a picture as of `now`. */
export function scaleAt(model: Model, now: number, folded = true): Scale {
  const end = model.open ? Math.max(now, model.spans.latest) : model.spans.latest;
  return scaleOf(busyOf(model, now), model.start, end, folded);
}

/** When anything was at work. Turns, tasks and runs are not work of their own: they also last while a person is asked. */
function busyOf({ spans: { spans, runs, history }, layout }: Model, now: number): Interval[] {
  const busy: Interval[] = [];
  const lost = new Map<string, Interval[]>();
  for (const group of layout.groups) {
    const long = group.interruptions.map(({ start, end }): Interval => [start, end ?? now]);
    lost.set(
      group.runId,
      long.filter(([from, to]) => to - from > LOST_SHOWN_MS),
    );
  }
  for (const span of spans) {
    if (isWork(span)) busy.push(...without(lost.get(span.runId) ?? [], [span.start, span.end ?? now]));
    else busy.push(around(span.start), ...(span.end === null ? [] : [around(span.end)]));
  }
  for (const run of runs) {
    busy.push(around(timeOf(run.ts)));
    if (run.started_ts) busy.push(around(timeOf(run.started_ts)));
    if (run.ended_ts) busy.push(around(timeOf(run.ended_ts)));
  }
  for (const attempts of history.attempts.values()) for (const { at } of attempts) busy.push(around(at));
  return busy;
}

/** What is left of an interval; the holes are in order. */
function without(holes: readonly Interval[], [start, end]: Interval): Interval[] {
  const left: Interval[] = [];
  let from = start;
  for (const [hole, until] of holes) {
    if (until <= from || hole >= end) continue;
    if (hole > from) left.push([from, hole]);
    from = until;
  }
  if (from < end || left.length === 0) left.push([Math.min(from, end), end]);
  return left;
}

// An open span whose worker may be gone is work all the same: it is what people look at.
const isWork = (span: Span): boolean => span.kind !== "agent" && span.kind !== "task" && span.kind !== "wait";

const around = (time: number): Interval => [time - POINT_MS, time + POINT_MS];
