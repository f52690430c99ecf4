/**
 * What a timeline draws, as times: every step, call, turn, task and wait of a session is a {@link Span}.
 *
 * Pure: the fold's entries and the markers in, spans out. The fold keeps when an entry first appeared; what happened
 * to it since (another try, another attempt, when a planned task began) is in the markers.
 */

import type { HoldfastEvent, State } from "@holdfast/client";
import type { Selection } from "../contract.ts";
import { type History, historyOf } from "./history.ts";
import { SpanMaker } from "./maker.ts";

export type SpanKind = "step" | "llm" | "tool" | "message" | "thought" | "agent" | "task" | "wait";

export type SpanStatus =
  | "queued"
  | "pending"
  | "running"
  | "retrying"
  | "waiting"
  | "completed"
  | "failed"
  | "cancelled";

/** A stretch within a span: a pause before another try, or work of an attempt that was lost. */
export interface Part {
  readonly kind: "pause" | "lost";
  readonly start: number;
  readonly end: number;
  readonly note: string;
}

export interface Span {
  /** Unique in the session, and the same for the same thing at every moment. */
  readonly id: string;
  readonly kind: SpanKind;
  readonly name: string;
  readonly status: SpanStatus;
  readonly start: number;
  /** Null while it goes on. */
  readonly end: number | null;
  readonly runId: string;
  readonly agent: string | null;
  readonly lane: string | null;
  readonly attempt: number | null;
  readonly tries: number;
  readonly error: string | null;
  readonly note: string | null;
  readonly parts: readonly Part[];
  readonly target: Selection;
}

/** The parts of a state that a timeline is made of. */
export type Drawn = Pick<
  State,
  "runs" | "steps" | "agents" | "llm_calls" | "tools" | "messages" | "reasoning" | "tasks" | "pending_inputs"
>;

/** Everything of a session that has a beginning. */
export interface Spans {
  readonly runs: State["runs"];
  readonly spans: readonly Span[];
  readonly history: History;
  /** The last moment of which anything is known. */
  readonly latest: number;
}

const OPEN: ReadonlySet<string> = new Set(["queued", "pending", "running", "retrying", "waiting"]);

/** Return whether something may still happen to a thing of this status. */
export const isOpen = (status: string): boolean => OPEN.has(status);

/** A time of the wire in milliseconds; NaN never gets out, since one would blank the whole picture. */
export function timeOf(ts: string | null | undefined): number {
  const time = ts ? Date.parse(ts) : Number.NaN;
  return Number.isNaN(time) ? 0 : time;
}

/** Return every span of a state, in no particular order. */
export function spansOf(state: Drawn, markers: readonly HoldfastEvent[]): Spans {
  const history = historyOf(markers);
  const ends = new Map<string, number>();
  for (const run of state.runs) if (run.ended_ts) ends.set(run.run_id ?? "", timeOf(run.ended_ts));
  const make = new SpanMaker(history, ends);
  const spans: Span[] = [];
  for (const step of state.steps) spans.push(make.step(step));
  const voiced = new Set<string>();
  for (const call of state.llm_calls) {
    if (call.withdrawn) continue;
    if (call.step !== null) voiced.add(`${call.run_id}\n${call.step}`);
    spans.push(make.call("llm", call.model ?? "model", call, call.call_id));
  }
  for (const call of state.tools) if (!call.withdrawn) spans.push(make.call("tool", call.name, call, call.call_id));
  for (const said of state.messages) {
    // A model's answer is drawn as its call; people's messages take no time.
    if (said.role === "user" || said.withdrawn || voiced.has(`${said.run_id}\n${said.step}`)) continue;
    spans.push(make.text("message", said.message_id, said));
  }
  for (const thought of state.reasoning) {
    if (thought.withdrawn || voiced.has(`${thought.run_id}\n${thought.step}`)) continue;
    spans.push(make.text("thought", thought.reasoning_id, thought));
  }
  spans.push(...make.turns(state.agents), ...make.tasks(state.tasks), ...make.waits(state.pending_inputs));
  return { runs: state.runs, spans, history, latest: latestOf(state, spans, markers) };
}

function latestOf(state: Drawn, spans: readonly Span[], markers: readonly HoldfastEvent[]): number {
  let latest = 0;
  for (const span of spans) latest = Math.max(latest, span.end ?? span.start);
  for (const run of state.runs) latest = Math.max(latest, timeOf(run.ended_ts ?? run.started_ts ?? run.ts));
  for (const marker of markers) latest = Math.max(latest, timeOf(marker.ts));
  return latest;
}

/** Return what tells one selection from another. */
export function targetKey(selection: Selection): string {
  return JSON.stringify(Object.entries(selection).sort(([a], [b]) => (a < b ? -1 : 1)));
}
