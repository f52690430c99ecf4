/** The gateway's JSON answers, named as its OpenAPI document names them. Fields may be added any day. */

import type { HoldfastEvent } from "./events.js";
import type { State } from "./fold/index.js";

export type RunStatus = "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled";
export type SessionStatus = "active" | "expired" | "erased";

/** What becomes of a run while another of its session is not finished. */
export type OnBusy = "enqueue" | "reject" | "interrupt";

/** A session as it stands. */
export interface SessionView {
  session_id: string;
  status: SessionStatus;
  /** The seq of its last event; 0 when there is none yet. */
  head: number;
  /** The first seq that is still kept. */
  min_seq: number;
  created_at: string;
  expires_at: string | null;
  ttl_s: number | null;
  metadata: Record<string, unknown>;
  /** The id of the run that a worker holds or that waits, if any. */
  active_run: string | null;
}

export interface RunSummary {
  run_id: string;
  workflow: string;
  status: RunStatus;
  created_at: string;
  ended_at: string | null;
}

/** A session with its latest runs. */
export interface SessionDetail extends SessionView {
  /** Newest first, at most 100. */
  runs: RunSummary[];
}

/** A page of sessions, newest first. */
export interface SessionList {
  items: SessionView[];
  /** Pass it as `cursor` for the next page. */
  next_cursor: string | null;
}

/** A run as it stands. */
export interface RunView extends RunSummary {
  session_id: string;
  workflow_version: string | null;
  input: unknown;
  /** The session's head when the run was asked for. */
  after: number;
  attempts: number;
  parent_run_id: string | null;
  user_id: string | null;
  trace_id: string | null;
  /** Inputs that the run waits for, by input id. */
  waiting: Record<string, unknown>;
  due_at: string | null;
  started_at: string | null;
  /** The run's stream, as a path. */
  stream: string;
}

/** A run was asked for. Follow its session after `after` and nothing of it is missed. */
export interface Accepted {
  run_id: string;
  session_id: string;
  after: number;
  /** The run's stream, as a path. */
  stream: string;
}

/** Events in seq order. Read on with `after=next_after` while it is below `head`. */
export interface EventPage {
  items: HoldfastEvent[];
  next_after: number;
  head: number;
  min_seq: number;
}

/** A complete message. */
export interface MessageView {
  id: string;
  role: string;
  content: string;
  content_type: string;
  agent: string | null;
  step: string | null;
  run_id: string | null;
  trace_id: string | null;
  ts: string;
}

/** A session's messages, each once, as of `seq`. */
export interface MessageList {
  items: MessageView[];
  seq: number;
  min_seq: number;
}

/** A session's events up to `seq`, folded: hand it to `fromPlain` and apply what follows. */
export interface StateView extends State {
  min_seq: number;
}

/** A workflow that some worker announced. */
export interface WorkflowView {
  name: string;
  version: string;
  description: string | null;
  /** JSON Schema 2020-12 of a run's input. */
  input_schema: Record<string, unknown> | null;
  /** Why it can't run, if it can't. */
  load_error: string | null;
  /** Those seen lately. */
  workers: string[];
}

export interface WorkflowList {
  items: WorkflowView[];
}
