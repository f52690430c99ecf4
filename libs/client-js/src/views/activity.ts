/** What is going on right now. */

import type { PendingInput, Progress, Run, State } from "../fold/entries.js";

/** Work that shows no text of its own, for an indicator. */
export interface Thinking {
  /** The closest thing known: a thought, a model call, a tool call, a step, or just the run. */
  readonly kind: "reasoning" | "model" | "tool" | "step" | "run";
  readonly run_id: string | null;
  readonly agent: string | null;
  /** The thought so far, the model, tool or step by name, or the workflow. */
  readonly text: string | null;
  readonly since: string;
}

function lastOf<T>(list: readonly T[], wanted: (it: T) => boolean): T | undefined {
  for (let n = list.length - 1; n >= 0; n--) if (wanted(list[n] as T)) return list[n];
  return undefined;
}

/** The runs that have not ended, in order of appearance. */
export const openRuns = (state: State): Run[] =>
  state.runs.filter((run) => run.status === "queued" || run.status === "running" || run.status === "waiting");

/** The run that appeared last, of those below no other if there is one. */
export const latestRun = (state: State): Run | null =>
  lastOf(state.runs, (run) => run.parent_run_id === null) ?? state.runs.at(-1) ?? null;

/**
 * What a user waits for while nothing is to be seen: null when no run is at work, or when a message is just being
 * written. Of several things the latest counts.
 */
export function thinking(state: State, run?: string): Thinking | null {
  const busy = new Map(
    state.runs
      .filter((it) => it.status === "running" && (run === undefined || it.run_id === run))
      .map((it) => [it.run_id, it]),
  );
  if (!busy.size) return null;
  const here = (entry: { readonly run_id: string | null }): boolean => busy.has(entry.run_id);
  const live = (text: { complete: boolean; cut: boolean; withdrawn: boolean; run_id: string | null }): boolean =>
    here(text) && !(text.complete || text.cut || text.withdrawn);
  if (state.messages.some((message) => live(message) && message.content !== "")) return null;

  const thought = lastOf(state.reasoning, live);
  if (thought) return told("reasoning", thought, thought.content);
  const working = (entry: { status: string; run_id: string | null }): boolean =>
    entry.status === "running" && here(entry);
  const tool = lastOf(state.tools, working);
  if (tool) return told("tool", tool, tool.name);
  const call = lastOf(state.llm_calls, working);
  if (call) return told("model", call, call.model);
  const step = lastOf(state.steps, working);
  if (step) return told("step", step, step.name);
  const [last] = [...busy.values()].slice(-1);
  return last ? told("run", { ...last, agent: null }, last.workflow) : null;
}

const told = (
  kind: Thinking["kind"],
  { run_id, agent, ts }: { run_id: string | null; agent: string | null; ts: string },
  text: string | null,
): Thinking => ({ kind, run_id, agent, text, since: ts });

/** The questions that wait for an answer, in the order in which they were asked. */
export const openInputs = (state: State, run?: string): readonly PendingInput[] =>
  run === undefined ? state.pending_inputs : state.pending_inputs.filter((input) => input.run_id === run);

/**
 * How far a run has come: what it says itself, otherwise how many of its planned tasks are done; null when neither is
 * known. A completed run is at 1.
 */
export function progressOf(state: State, run: string | Run | null = latestRun(state)): Progress | null {
  const it = typeof run === "string" ? state.runs.find((other) => other.run_id === run) : run;
  if (!it) return null;
  if (it.status === "completed") return { fraction: 1, label: it.progress?.label ?? null };
  if (it.progress) return it.progress;
  const tasks = state.tasks.filter((task) => task.run_id === it.run_id && task.plan_id !== null);
  if (!tasks.length) return null;
  const done = tasks.filter((task) => task.status === "completed" || task.status === "cancelled").length;
  return { fraction: done / tasks.length, label: `${done} of ${tasks.length}` };
}
