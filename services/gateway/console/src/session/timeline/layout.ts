/**
 * Which row everything is drawn in: a group for each run, in it a lane for each agent of each parallel branch, in it
 * as many rows as things are at work at once. Runs that a run started follow it, set in. Pure.
 */

import type { Attempt, Retry, Stage } from "./history.ts";
import type { Span, Spans } from "./spans.ts";
import { timeOf } from "./spans.ts";

type Run = Spans["runs"][number];

/** What a group shows behind its rows. */
export interface Band {
  readonly kind: "stage" | "lost" | "retry";
  readonly name: string;
  readonly start: number;
  /** Null while it goes on. */
  readonly end: number | null;
}

export interface Group {
  readonly runId: string;
  readonly run: Run;
  readonly depth: number;
  readonly start: number;
  /** When a worker began, if one did: before that it waited for its turn. */
  readonly begun: number | null;
  readonly end: number | null;
  readonly stages: readonly Band[];
  readonly interruptions: readonly Band[];
  readonly attempts: readonly Attempt[];
  readonly folded: boolean;
  /** How many steps, calls and turns it has. */
  readonly size: number;
}

export interface Lane {
  readonly id: string;
  readonly label: string;
  /** The parallel branch, where the label doesn't say it already. */
  readonly branch: string | null;
  /** Which of the colours; the same for the same agent in every run. */
  readonly colour: number;
  readonly turns: readonly Span[];
  readonly failed: boolean;
  readonly running: boolean;
}

export interface Row {
  readonly id: string;
  readonly kind: "run" | "label" | "steps" | "calls" | "tasks";
  readonly group: Group;
  readonly lane: Lane | null;
  /** In order of time, none over another. */
  readonly spans: readonly Span[];
  /** The lane's first row, which carries its name. */
  readonly first: boolean;
  readonly top: number;
  readonly height: number;
}

export interface Layout {
  readonly groups: readonly Group[];
  readonly rows: readonly Row[];
  readonly height: number;
  /** Where each group's rows begin and end, in the order of `groups`. */
  readonly extents: readonly { readonly top: number; readonly bottom: number }[];
}

export interface LayoutOptions {
  readonly folded?: ReadonlySet<string>;
  /** Names stand above bars instead of beside them. */
  readonly compact?: boolean;
}

export const COLOURS = 8;

/** A plan is nobody's. */
const NO_COLOUR = -1;

const HEIGHTS = { run: 40, label: 22, steps: 28, calls: 24, tasks: 26 } as const;

/** A run's name stands above its bar as well. */
const RUN_COMPACT = 64;

/** Kinds that are drawn high, as what others happen in. */
const HIGH: ReadonlySet<string> = new Set(["step", "wait", "agent"]);

const GROUP_GAP = 10;
const LANE_GAP = 4;

// Deeper children are set in no further: on a phone nothing would be left for bars.
export const DEPTH_MAX = 4;

/** Return where everything is drawn. */
export function layoutOf(all: Spans, options: LayoutOptions = {}): Layout {
  const builder = new Builder(all, options);
  for (const run of childrenOf(all.runs).get(null) ?? []) builder.group(run, 0);
  return builder.done();
}

/** Runs by the run that started them; under null those that nobody known did. */
function childrenOf(runs: readonly Run[]): Map<string | null, Run[]> {
  const known = new Set(runs.map((run) => run.run_id));
  const children = new Map<string | null, Run[]>();
  for (const run of runs) {
    const parent = run.parent_run_id !== null && known.has(run.parent_run_id) ? run.parent_run_id : null;
    const list = children.get(parent);
    if (list) list.push(run);
    else children.set(parent, [run]);
  }
  return children;
}

class Builder {
  readonly #all: Spans;
  readonly #folded: ReadonlySet<string>;
  readonly #compact: boolean;
  readonly #spans = new Map<string, Span[]>();
  readonly #children: Map<string | null, Run[]>;
  readonly #colours = new Map<string, number>();
  readonly #groups: Group[] = [];
  readonly #rows: Row[] = [];
  readonly #extents: { top: number; bottom: number }[] = [];
  #top = 0;

  constructor(all: Spans, options: LayoutOptions) {
    this.#all = all;
    this.#folded = options.folded ?? new Set();
    this.#compact = options.compact ?? false;
    this.#children = childrenOf(all.runs);
    const inTime = [...all.spans].sort((a, b) => a.start - b.start || length(b) - length(a));
    for (const span of inTime) {
      const list = this.#spans.get(span.runId);
      if (list) list.push(span);
      else this.#spans.set(span.runId, [span]);
      const who = span.agent ?? span.lane ?? "";
      // What is nobody's has a colour of its own: the conversation gives agents theirs in the same order.
      if (who !== "" && !this.#colours.has(who)) this.#colours.set(who, this.#colours.size % COLOURS);
    }
  }

  group(run: Run, depth: number): void {
    const runId = run.run_id ?? "";
    const spans = this.#spans.get(runId) ?? [];
    const folded = this.#folded.has(runId);
    const group = this.#groupOf(run, depth, spans, folded);
    if (this.#groups.length > 0) this.#top += depth === 0 ? GROUP_GAP : LANE_GAP;
    const extent = { top: this.#top, bottom: this.#top };
    this.#groups.push(group);
    this.#extents.push(extent);
    this.#row("run", group, null, [], true, runId);
    if (!folded) this.#lanes(group, spans);
    extent.bottom = this.#top;
    if (!folded) for (const child of this.#children.get(run.run_id) ?? []) this.group(child, depth + 1);
  }

  done(): Layout {
    return { groups: this.#groups, rows: this.#rows, height: this.#top, extents: this.#extents };
  }

  #groupOf(run: Run, depth: number, spans: readonly Span[], folded: boolean): Group {
    const runId = run.run_id ?? "";
    const { history } = this.#all;
    const end = run.ended_ts ? timeOf(run.ended_ts) : null;
    const attempts = history.attempts.get(runId) ?? [];
    const retries = (history.runRetries.get(runId) ?? []).map((retry) => pauseOf(retry, attempts, end));
    const lost = attempts.filter(({ reason }) => reason === "takeover").map(({ at }) => lostBefore(at, run, spans));
    return {
      runId,
      run,
      depth: Math.min(depth, DEPTH_MAX),
      start: timeOf(run.ts),
      begun: run.started_ts ? timeOf(run.started_ts) : null,
      end,
      stages: bandsOf(history.stages.get(runId) ?? [], end),
      interruptions: [...retries, ...lost],
      attempts,
      folded,
      size: spans.length,
    };
  }

  #lanes(group: Group, spans: readonly Span[]): void {
    this.#tracks(
      "tasks",
      group,
      planLane(group.runId),
      spans.filter((span) => span.kind === "task"),
    );
    const lanes = new Map<string, Span[]>();
    for (const span of spans) {
      if (span.kind === "task") continue;
      const key = `${span.lane ?? ""}\n${span.agent ?? ""}`;
      const list = lanes.get(key);
      if (list) list.push(span);
      else lanes.set(key, [span]);
    }
    for (const [key, inLane] of lanes) {
      const lane = this.#laneOf(`${group.runId}\n${key}`, inLane);
      const work = inLane.filter((span) => span.kind !== "agent");
      // Where there is nothing but a turn, the turn itself is the bar.
      if (work.length > 0) this.#tracks("work", group, lane, work);
      else this.#tracks("work", group, { ...lane, turns: [] }, lane.turns);
      this.#top += LANE_GAP;
    }
  }

  #laneOf(id: string, spans: readonly Span[]): Lane {
    const { agent, lane } = spans[0] as Span;
    const label = agent ?? lane ?? "workflow";
    return {
      id,
      label,
      branch: lane !== null && agent !== null && !agent.includes(lane) ? lane : null,
      colour: this.#colours.get(agent ?? lane ?? "") ?? COLOURS - 1,
      turns: spans.filter((span) => span.kind === "agent"),
      failed: spans.some((span) => span.kind === "agent" && span.status === "failed"),
      running: spans.some((span) => span.end === null),
    };
  }

  // As few rows as hold the spans side by side. They come in order of time, the longer first: a step is put above the
  // calls within it.
  #tracks(kind: "tasks" | "work", group: Group, lane: Lane, spans: readonly Span[]): void {
    const tracks: { spans: Span[]; until: number }[] = [];
    for (const span of spans) {
      const until = span.end ?? Number.POSITIVE_INFINITY;
      const track = tracks.find((candidate) => candidate.until <= span.start);
      if (track) {
        track.spans.push(span);
        track.until = until;
      } else tracks.push({ spans: [span], until });
    }
    tracks.forEach((track, at) => {
      const first = at === 0;
      if (first && this.#compact) this.#row("label", group, lane, [], true, `${lane.id}\nlabel`);
      const high = track.spans.some((span) => HIGH.has(span.kind));
      const height = kind === "tasks" ? kind : high ? "steps" : "calls";
      this.#row(height, group, lane, track.spans, first && !this.#compact, `${lane.id}\n${at}`);
    });
  }

  #row(kind: Row["kind"], group: Group, lane: Lane | null, spans: readonly Span[], first: boolean, id: string): void {
    const height = kind === "run" && this.#compact ? RUN_COMPACT : HEIGHTS[kind];
    this.#rows.push({ id, kind, group, lane, spans, first, top: this.#top, height });
    this.#top += height;
  }
}

function planLane(runId: string): Lane {
  return {
    id: `${runId}\nplan`,
    label: "Plan",
    branch: null,
    colour: NO_COLOUR,
    turns: [],
    failed: false,
    running: false,
  };
}

function length(span: Span): number {
  return (span.end ?? Number.POSITIVE_INFINITY) - span.start;
}

function bandsOf(stages: readonly Stage[], end: number | null): Band[] {
  return stages.map((stage, at) => ({
    kind: "stage",
    name: stage.name,
    start: stage.start,
    end: stages[at + 1]?.start ?? end,
  }));
}

function pauseOf(retry: Retry, attempts: readonly Attempt[], end: number | null): Band {
  const next = attempts.find(({ at }) => at >= retry.start)?.at ?? end;
  return { kind: "retry", name: `failed, tried again: ${retry.error}`, start: retry.start, end: next };
}

/** From the last sign of the worker that was lost until another took over. */
function lostBefore(at: number, run: Run, spans: readonly Span[]): Band {
  let last = timeOf(run.started_ts ?? run.ts);
  for (const span of spans) {
    if (span.start < at) last = Math.max(last, span.start);
    if (span.end !== null && span.end < at) last = Math.max(last, span.end);
  }
  return { kind: "lost", name: "no worker", start: last, end: at };
}

/** Return the rows that a stretch of the height shows, as indexes: from inclusive, to exclusive. */
export function rowsBetween(rows: readonly Row[], top: number, bottom: number): [number, number] {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle] as Row;
    if (row.top + row.height <= top) low = middle + 1;
    else high = middle;
  }
  let to = low;
  while (to < rows.length && (rows[to] as Row).top < bottom) to++;
  return [low, to];
}
