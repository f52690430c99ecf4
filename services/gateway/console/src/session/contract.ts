/**
 * What the parts of the session page are given. `SessionPage` owns the connection and hands the same picture to
 * all: the conversation, the timeline, the replay bar and the proof panel never fetch the live state themselves.
 */

import type { Client, Connection, Counters, HoldfastEvent, State, Status } from "@holdfast/client";

/** What a part of the page shows, be it live or replayed. */
export interface SessionView {
  readonly client: Client;
  readonly sessionId: string;
  /** The fold at `seq`. It is changed in place: `seq` (or `version`) tells that it moved, its identity doesn't. */
  readonly state: State;
  readonly seq: number;
  /** Grows with every change of what is shown, also when a replay goes back: a dependency for memos. */
  readonly version: number;
  /** The session's last seq that is known, at or above `seq`. */
  readonly head: number;
  /** The first seq that is still kept. */
  readonly minSeq: number;
  /** False while a replay shows the past: then nothing can be asked of the session. */
  readonly live: boolean;
  /**
   * The few events up to `seq` that the fold keeps no history of, in seq order: `MARKER_TYPES`. Loaded with a filter
   * after the snapshot and kept up with the stream; at most `MARKERS_MAX`, the newest.
   */
  readonly markers: readonly HoldfastEvent[];
  /** When the event at `seq` happened, as far as a replay knows: the past's "now". Absent while live. */
  readonly shownTs?: string | null;
}

/** What a person picked. The page shows it in its details and scrolls the other parts to it. */
export type Selection =
  | { kind: "event"; seq: number }
  | { kind: "run"; run_id: string }
  | { kind: "step"; run_id: string; key: string }
  | { kind: "agent"; run_id: string; name: string; lane: string | null }
  | { kind: "tool"; run_id: string; call_id: string }
  | { kind: "llm"; run_id: string; call_id: string }
  | { kind: "message"; message_id: string }
  | { kind: "task"; run_id: string; task_id: string };

export interface TimelineProps extends SessionView {
  readonly selection: Selection | null;
  onSelect(selection: Selection | null): void;
}

export interface ReplayBarProps {
  readonly client: Client;
  readonly sessionId: string;
  readonly head: number;
  readonly minSeq: number;
  /** The seq that is shown, or null while the page is live. Comes from the URL (`#seq=`) and goes there. */
  readonly at: number | null;
  /** Ask the page for another seq; null goes back to live. */
  onAt(at: number | null): void;
  /**
   * The bar's state for the seq it reached (it may lag behind `at` while loading): the page shows it instead of the
   * live one until `onAt(null)`. `markers` is optional: the page cuts its own at the seq.
   */
  onState(state: State, seq: number, ts?: string | null): void;
}

export interface ProofPanelProps {
  readonly connection: Connection | null;
  readonly status: Status;
  readonly counters: Counters;
  /** Calls back for every event as it arrives live; returns what ends it. For latency (`ts` against now). */
  onEvents(listener: (events: readonly HoldfastEvent[]) => void): () => void;
}

/** Types whose history the fold doesn't keep and the page shows all the same. All are rare within a run. */
export const MARKER_TYPES: readonly string[] = [
  "run.started",
  "run.resumed",
  "run.retrying",
  "run.completed",
  "run.failed",
  "run.cancelled",
  "stage.changed",
  "step.retrying",
  "step.restarted",
  "input.requested",
  "input.received",
  "input.expired",
  "command.rejected",
  // The fold keeps an agent's latest turn and not when a planned task began: the timeline shows both.
  "agent.started",
  "agent.completed",
  "agent.failed",
  "task.started",
  "task.completed",
  "task.failed",
  "task.cancelled",
];

/** 5,000 markers of 400 bytes are 2 MB, and 500 runs of ten stages each. */
export const MARKERS_MAX = 5_000;
