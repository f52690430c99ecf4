/** The rows that divide and frame what was said: runs, stages, plans, failures, components, answers. */

import type { HoldfastEvent } from "@holdfast/client";
import type { State, Task } from "@holdfast/client/fold";
import type { Extra } from "./items.ts";

/** Return them in no particular order. `places` tells when a component first stood where it stands. */
export function extrasOf(
  state: State,
  markers: readonly HoldfastEvent[],
  places: ReadonlyMap<string, string>,
): Extra[] {
  return [...runsOf(state, markers), ...workOf(state, places), ...plansOf(state), ...markersOf(markers)];
}

function runsOf(state: State, markers: readonly HoldfastEvent[]): Extra[] {
  const inputs = new Map<string, unknown>();
  for (const event of markers) {
    if (event.type === "run.started" && event.run_id !== undefined) inputs.set(event.run_id, event.data.input);
  }
  const items: Extra[] = [];
  for (const run of state.runs) {
    const at = { key: `run ${run.run_id}`, ts: run.started_ts ?? run.ts, runId: run.run_id };
    items.push({ kind: "run-started", ...at, run, input: inputs.get(run.run_id ?? "") });
    if (run.ended_ts !== null) {
      items.push({ kind: "run-ended", ...at, key: `end ${run.run_id}`, ts: run.ended_ts, run });
    }
  }
  return items;
}

function workOf(state: State, places: ReadonlyMap<string, string>): Extra[] {
  const items: Extra[] = [];
  for (const entry of state.llm_calls) {
    // What a model says is shown by messages; that it failed, by nothing else.
    if (entry.status !== "failed" || entry.error === null) continue;
    const key = `model ${entry.run_id} ${entry.call_id}`;
    items.push({ kind: "model", key, ts: entry.ts, runId: entry.run_id, entry });
  }
  for (const entry of state.steps) {
    // A tool is a step, too, and tells of its failure itself.
    if (entry.error === null || state.tools.some((tool) => tool.run_id === entry.run_id && tool.step === entry.key)) {
      continue;
    }
    const key = `step ${entry.run_id} ${entry.key}`;
    items.push({ kind: "step", key, ts: entry.ended_ts ?? entry.ts, runId: entry.run_id, entry });
  }
  for (const entry of state.components) {
    const ts = places.get(entry.component_id) ?? entry.ts;
    items.push({ kind: "component", key: `component ${entry.component_id}`, ts, runId: entry.run_id, entry });
  }
  return items;
}

/** One row per plan with its tasks, and one per run for the tasks without a plan. */
function plansOf(state: State): Extra[] {
  const tasks = new Map<string, Task[]>();
  for (const task of state.tasks) {
    const of = `${task.run_id} ${task.plan_id ?? ""}`;
    const known = tasks.get(of);
    if (known) known.push(task);
    else tasks.set(of, [task]);
  }
  const items: Extra[] = [];
  for (const plan of state.plans) {
    const of = `${plan.run_id} ${plan.plan_id}`;
    const at = { key: `plan ${of}`, ts: plan.ts, runId: plan.run_id };
    items.push({ kind: "plan", ...at, plan, tasks: tasks.get(of) ?? [] });
    tasks.delete(of);
  }
  for (const [of, alone] of tasks) {
    const first = alone[0] as Task;
    items.push({ kind: "plan", key: `plan ${of}`, ts: first.ts, runId: first.run_id, plan: null, tasks: alone });
  }
  return items;
}

function markersOf(markers: readonly HoldfastEvent[]): Extra[] {
  const prompts = new Map<string, string>();
  const items: Extra[] = [];
  for (const event of markers) {
    const at = { key: `event ${event.seq}`, ts: event.ts, runId: event.run_id ?? null };
    switch (event.type) {
      case "run.resumed":
        // Going on after an answer or a timer is what was expected: the answer's own row tells it.
        if (event.data.reason !== "input" && event.data.reason !== "timer") {
          items.push({ kind: "run-resumed", ...at, attempt: event.attempt ?? 0, reason: event.data.reason });
        }
        break;
      case "run.retrying":
        items.push({ kind: "run-retrying", ...at, error: event.data.error, delayMs: event.data.delay_ms });
        break;
      case "stage.changed":
        items.push({ kind: "stage", ...at, to: event.data.to });
        break;
      case "input.requested":
        prompts.set(event.data.input_id, event.data.prompt);
        break;
      case "input.received": {
        const prompt = prompts.get(event.data.input_id) ?? null;
        items.push({ kind: "answer", ...at, prompt, value: event.data.value, who: event.user_id ?? null });
        break;
      }
      case "input.expired":
        items.push({ kind: "unanswered", ...at, prompt: prompts.get(event.data.input_id) ?? null });
        break;
      case "command.rejected":
        items.push({ kind: "refused", ...at, command: event.data.kind, reason: event.data.reason });
        break;
      default:
    }
  }
  return items;
}
