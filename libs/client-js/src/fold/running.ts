/** The session and its runs: from being asked for, over waiting for people, to the one end. */

import type { Run } from "./entries.js";
import { type Handler, type Handlers, outcome, pick, place, type Recorded } from "./handler.js";
import { clear, type Inside, isOpen } from "./state.js";
import { sweepWithdrawn } from "./working.js";

/** The run that the event is about; one that nobody announced begins here. */
function runOf({ runs }: Inside, event: Recorded, status: Run["status"] = "running"): Run {
  const { run_id, ts } = place(event);
  return (
    runs.get(run_id) ?? {
      ...{ run_id, ts, status, ...pick(event, "parent_run_id") },
      ...pick({}, "workflow", "workflow_version", "attempt", "started_ts", "ended_ts", "result", "error"),
      ...pick({}, "reason", "stage", "progress", "usage", "duration_ms"),
    }
  );
}

/** The run moved on, unless it has ended: that is for good. */
const moved = (run: Run, status: Run["status"]): Run => (isOpen(run) ? { ...run, status } : run);

const sessionCreated: Handler = ({ fields }, event, data) => {
  const metadata = data.metadata ?? {};
  fields.session = { ...fields.session, ...pick(data, "ttl_s"), metadata, created_ts: event.ts };
};

const sessionExpired: Handler = ({ fields }) => {
  fields.session = { ...fields.session, status: "expired" };
};

const sessionErased: Handler = (inside) => {
  clear(inside);
  inside.fields.session = { ...inside.fields.session, status: "erased" };
};

/** A run that was asked for waits for its turn; other commands show in what they do. */
const commandAccepted: Handler = (inside, event, data) => {
  if (data.kind === "start" && event.run_id != null) inside.runs.put(runOf(inside, event, "queued"));
};

/** The first attempt begins. A root run's stage and progress are the session's from here on. */
const runStarted: Handler = (inside, event, data) => {
  const run = {
    ...moved(runOf(inside, event), "running"),
    ...pick(data, "workflow", "workflow_version"),
    ...pick(event, "attempt"),
    started_ts: event.ts,
  };
  inside.runs.put(run);
  if (run.parent_run_id === null) inside.fields.stage = inside.fields.progress = null;
};

/** Another attempt goes on; whatever is open stays open. */
const runResumed: Handler = (inside, event) => {
  const run = moved(runOf(inside, event), "running");
  inside.runs.put({ ...run, ...pick(event, "attempt"), error: isOpen(run) ? null : run.error });
};

/** The attempt failed; the run waits for the next one. */
const runRetrying: Handler = (inside, event, data) => {
  const run = moved(runOf(inside, event), "waiting");
  inside.runs.put({ ...run, error: isOpen(run) ? data.error : run.error });
};

/** The run ends, and with it everything of it that was open. */
const runEnded: Handler = (inside, event, data) => {
  let run = runOf(inside, event);
  if (isOpen(run)) {
    const told = pick(data, "result", "error", "reason", "usage", "duration_ms");
    run = { ...run, ...told, status: outcome(event), ended_ts: event.ts };
    inside.runs.put(run);
  }
  close(inside, run.run_id, run.status === "failed" ? "failed" : "cancelled");
};

/** What a completed run left open was never going to be finished either: cancelled. */
function close(inside: Inside, run: string | null, status: "failed" | "cancelled"): void {
  const { messages, reasoning, steps, agents, llm_calls, tools, tasks, pending_inputs } = inside;
  sweepWithdrawn(inside, run);
  for (const entry of messages.openOf(run)) messages.put({ ...entry, cut: true });
  for (const entry of reasoning.openOf(run)) reasoning.put({ ...entry, cut: true });
  for (const entry of steps.openOf(run)) steps.put({ ...entry, status });
  for (const entry of agents.openOf(run)) agents.put({ ...entry, status });
  for (const entry of llm_calls.openOf(run)) llm_calls.put({ ...entry, status });
  for (const entry of tools.openOf(run)) tools.put({ ...entry, status });
  for (const entry of tasks.openOf(run)) tasks.put({ ...entry, status });
  for (const { input_id } of pending_inputs.openOf(run)) pending_inputs.drop(input_id);
}

const inputRequested: Handler = (inside, event, data) => {
  const run = moved(runOf(inside, event), "waiting");
  inside.runs.put(run);
  if (isOpen(run))
    inside.pending_inputs.put({ ...place(event), ...pick(data, "input_id", "prompt", "value_schema", "deadline") });
};

/** Somebody answered, or nobody did in time; with its last question settled the run goes on. */
const inputSettled: Handler = (inside, event, data) => {
  inside.pending_inputs.drop(data.input_id);
  const run = runOf(inside, event);
  inside.runs.put(inside.pending_inputs.openOf(run.run_id).length ? run : moved(run, "running"));
};

const stageChanged: Handler = (inside, event, data) => {
  const run = runOf(inside, event);
  inside.runs.put({ ...run, stage: data.to });
  inside.fields.stage = { run_id: run.run_id, ...pick(data, "from", "to") };
};

const progressUpdated: Handler = (inside, event, data) => {
  const run = runOf(inside, event);
  const progress = pick(data, "fraction", "label");
  inside.runs.put({ ...run, progress });
  inside.fields.progress = { run_id: run.run_id, ...progress };
};

export const RUNNING: Handlers = {
  "session.created": sessionCreated,
  "session.expired": sessionExpired,
  "session.erased": sessionErased,
  "command.accepted": commandAccepted,
  "run.started": runStarted,
  "run.resumed": runResumed,
  "run.retrying": runRetrying,
  "run.completed": runEnded,
  "run.failed": runEnded,
  "run.cancelled": runEnded,
  "input.requested": inputRequested,
  "input.received": inputSettled,
  "input.expired": inputSettled,
  "stage.changed": stageChanged,
  "progress.updated": progressUpdated,
};
