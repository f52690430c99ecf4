/** A session as a chart: a row per run and per agent and parallel branch in it, with bars from start to end. */

import type { Run, State } from "../fold/entries.js";
import { type Bar, type BarKind, type Barred, barOf, laid, type Span } from "./bars.js";

export interface Row {
  /** For good, and of this row alone: React's `key`. */
  readonly key: string;
  /** A `run` row has the run's own bar, a `lane` row what one agent did in one branch of it. */
  readonly kind: "run" | "lane";
  readonly run_id: string | null;
  readonly agent: string | null;
  readonly lane: string | null;
  /** 0 for root runs, 1 for their lanes and for the runs below them. */
  readonly depth: number;
  readonly bars: readonly Bar[];
  /** How many tracks its bars take, at least one. */
  readonly tracks: number;
}

export interface Timeline extends Span {
  /** Runs in order of appearance, each followed by its lanes and then by the runs below it. */
  readonly rows: readonly Row[];
}

export interface TimelineOptions {
  /** Only this run and those below it. */
  readonly run?: string;
}

interface Lane {
  readonly agent: string | null;
  readonly lane: string | null;
  readonly bars: Bar[];
}

type Lanes = Map<string, Lane>;

/**
 * The chart of a state. It is drawn from entries, not from events, so a session of any length costs the same; an entry
 * that was tried again is one bar from its first start. It changes with `state.runs`, `agents`, `steps`, `llm_calls`
 * and `tools` alone.
 */
export function timeline(state: State, { run }: TimelineOptions = {}): Timeline {
  const lanes = lanesOf(state);
  const runs = new Map(state.runs.map((it) => [it.run_id, it]));
  // Entries of a run that is itself forgotten, or of none at all.
  for (const id of lanes.keys()) if (!runs.has(id)) runs.set(id, unknownRun(id));
  const below = new Map<string | null, Run[]>();
  const roots: Run[] = [];
  for (const it of runs.values()) {
    const siblings = below.get(it.parent_run_id) ?? [];
    below.set(it.parent_run_id, siblings);
    (it.parent_run_id !== null && runs.has(it.parent_run_id) ? siblings : roots).push(it);
  }
  const rows: Row[] = [];
  const seen = new Set<string | null>();

  const show = (it: Run, depth: number): void => {
    if (seen.has(it.run_id)) return;
    seen.add(it.run_id);
    const at = { run_id: it.run_id, depth };
    const own = it.ts ? [barOf("run", it, `${it.run_id}`, null)] : [];
    rows.push({ ...at, key: `run ${it.run_id}`, kind: "run", agent: null, lane: null, ...laid(own) });
    const inIt = [...(lanes.get(it.run_id)?.values() ?? [])];
    for (const { agent, lane, bars } of inIt.sort((a, b) => startOf(a.bars) - startOf(b.bars)))
      rows.push({
        ...at,
        depth: depth + 1,
        key: laneKey(it.run_id, agent, lane),
        kind: "lane",
        agent,
        lane,
        ...laid(bars),
      });
    for (const other of below.get(it.run_id) ?? []) show(other, depth + 1);
  };
  const wanted = run === undefined ? roots : state.runs.filter((it) => it.run_id === run);
  for (const it of wanted) show(it, 0);
  const all = rows.flatMap((row) => row.bars);
  const open = all.some((bar) => bar.end === null);
  const latest = (most: number, bar: Bar): number => Math.max(most, bar.end ?? bar.start);
  return { rows, start: all.length ? startOf(all) : 0, end: open ? null : all.reduce(latest, 0) };
}

const laneKey = (run: string | null, agent: string | null, lane: string | null): string =>
  `lane ${JSON.stringify([run, agent, lane])}`;

const startOf = (bars: readonly Bar[]): number =>
  bars.reduce((least, bar) => Math.min(least, bar.start), Number.POSITIVE_INFINITY);

function lanesOf(state: State): Map<string | null, Lanes> {
  const ends = new Map(state.runs.map((it) => [it.run_id, it.ended_ts]));
  const byRun = new Map<string | null, Lanes>();
  const gather = <K extends Exclude<BarKind, "run">>(
    kind: K,
    entries: readonly Barred[K][],
    id: (entry: Barred[K]) => string | null,
  ): void => {
    for (const entry of entries) {
      if ("withdrawn" in entry && entry.withdrawn) continue;
      const { run_id, agent, lane } = entry;
      const lanes = byRun.get(run_id) ?? new Map<string, Lane>();
      byRun.set(run_id, lanes);
      const key = laneKey(run_id, agent, lane);
      const row = lanes.get(key) ?? { agent, lane, bars: [] };
      lanes.set(key, row);
      row.bars.push(barOf(kind, entry, JSON.stringify([run_id, id(entry)]), ends.get(run_id) ?? null));
    }
  };
  gather("agent", state.agents, (it) => JSON.stringify([it.name, it.lane]));
  gather("step", state.steps, (it) => it.key);
  gather("model", state.llm_calls, (it) => it.call_id);
  gather("tool", state.tools, (it) => it.call_id);
  return byRun;
}

const unknownRun = (run_id: string | null): Run => ({
  ...{ run_id, parent_run_id: null, workflow: null, workflow_version: null, status: "running", attempt: null, ts: "" },
  ...{ started_ts: null, ended_ts: null, result: null, error: null, reason: null, stage: null, progress: null },
  ...{ usage: null, duration_ms: null },
});
