/**
 * Steps, and the agents, model calls and tools at work in them.
 *
 * What is completed is for good: a repeated start changes nothing. What failed may be started again.
 */

import type { Agent, Entry, LlmCall, Step, ToolCall } from "./entries.js";
import { type Data, type Handler, type Handlers, outcome, pick, place, type Recorded } from "./handler.js";
import { grow } from "./saying.js";
import type { Inside } from "./state.js";
import type { Table } from "./table.js";

const RUNNING = { status: "running" } as const;
const ANEW = { ...RUNNING, error: null, duration_ms: null };
const SAID_ANEW = { complete: false, cut: false };

/** What a step shows: how each kind looks when it is withdrawn, and when it is unfinished again. */
const SHOWN = [
  ["messages", { content: "" }, SAID_ANEW],
  ["reasoning", { content: "" }, SAID_ANEW],
  ["llm_calls", { text: "" }, RUNNING],
  ["tools", { progress: null }, RUNNING],
] as const;

// One view of four tables: what is done to them here, each has the fields for.
const shown = (inside: Inside, name: (typeof SHOWN)[number][0]) =>
  inside[name] as unknown as Table<Entry & { withdrawn: boolean }>;

/** Makes everything under the event's step unfinished again, the complete too: it is going to be shown anew. */
function reopen(inside: Inside, event: Recorded): void {
  const { run_id, step } = place(event);
  for (const [name, , anew] of SHOWN) {
    const table = shown(inside, name);
    for (const entry of table.list)
      if (entry.run_id === run_id && entry.step === step) table.put({ ...entry, ...anew });
  }
}

/** Empties what is unfinished under the event's step, until its next try goes on with it. */
function withdraw(inside: Inside, event: Recorded): void {
  const { run_id, step } = place(event);
  for (const [name, empty] of SHOWN) {
    const table = shown(inside, name);
    for (const entry of table.openOf(run_id))
      if (entry.step === step) table.put({ ...entry, ...empty, withdrawn: true });
  }
}

/** Takes out what no later try went on with: under one step, or of the whole run. */
export function sweepWithdrawn(inside: Inside, run: string | null, step: string | null = null): void {
  for (const [name] of SHOWN) {
    const table = shown(inside, name);
    for (const [key, entry] of table.open)
      if (entry.withdrawn && entry.run_id === run && (step === null || entry.step === step)) table.drop(key);
  }
}

function stepOf({ steps }: Inside, event: Recorded, data: Data): Step {
  const { run_id, step, agent, lane, ts } = place(event);
  const entry = steps.get(run_id, step) ?? {
    ...{ run_id, key: step, name: data.name, agent, lane, ts },
    ...{ ...ANEW, ended_ts: null, result: null },
  };
  return { ...entry, ...pick(event, "attempt") };
}

const stepStarted: Handler = (inside, event, data) => {
  const step = stepOf(inside, event, data);
  inside.steps.put(step.status === "completed" ? step : { ...step, ...ANEW, ended_ts: null });
};

/** A new attempt does the step over. A streamed message is a step too, but one that is not shown as such. */
const stepRestarted: Handler = (inside, event, data) => {
  const { run_id, step } = place(event);
  if (inside.steps.get(run_id, step)) stepStarted(inside, event, data);
  reopen(inside, event);
  withdraw(inside, event);
};

const stepRetrying: Handler = (inside, event, data) => {
  const step = stepOf(inside, event, data);
  inside.steps.put(step.status === "completed" ? step : { ...step, status: "retrying", error: data.error });
  withdraw(inside, event);
};

const stepEnded: Handler = (inside, event, data) => {
  const step = stepOf(inside, event, data);
  const how = { status: outcome(event), ended_ts: event.ts };
  inside.steps.put({ ...step, ...pick(data, "result", "error", "duration_ms"), ...how });
  if (step.key !== null) sweepWithdrawn(inside, step.run_id, step.key);
};

function agentOf({ agents }: Inside, event: Recorded, data: Data): Agent {
  const at = place(event);
  return agents.get(at.run_id, data.name, at.lane) ?? { ...at, name: data.name, role: null, result: null, ...ANEW };
}

/** The agent takes its turn, its first or another. */
const agentStarted: Handler = (inside, event, data) =>
  inside.agents.put({
    ...agentOf(inside, event, data),
    ...pick(data, "role"),
    ...pick(event, "step"),
    ...ANEW,
    result: null,
  });

const agentEnded: Handler = (inside, event, data) =>
  inside.agents.put({
    ...agentOf(inside, event, data),
    ...pick(data, "result", "error", "duration_ms"),
    status: outcome(event),
  });

const llmOf = ({ llm_calls }: Inside, event: Recorded, data: Data): LlmCall =>
  llm_calls.get(event.run_id ?? null, data.call_id) ?? {
    ...place(event),
    ...{ call_id: data.call_id, model: null, text: "", usage: null, finish_reason: null },
    ...{ ...ANEW, withdrawn: false, time_to_first_token_ms: null },
  };

const llmStarted: Handler = (inside, event, data) => {
  const call = llmOf(inside, event, data);
  if (call.status === "completed") return;
  const text = call.status === "running" ? call.text : "";
  inside.llm_calls.put({ ...call, ...pick(data, "model"), ...ANEW, text, withdrawn: false });
};

const llmDelta: Handler = (inside, event, data) => {
  const call = llmOf(inside, event, data);
  if (call.status === "running") inside.llm_calls.put(grow(call, "text", data.text));
};

const llmEnded: Handler = (inside, event, data) => {
  const call = llmOf(inside, event, data);
  inside.llm_calls.put({
    ...call,
    ...pick(data, "usage", "error", "finish_reason", "duration_ms", "time_to_first_token_ms"),
    ...{ model: data.model || call.model, status: outcome(event), withdrawn: false },
  });
};

const toolOf = ({ tools }: Inside, event: Recorded, data: Data): ToolCall =>
  tools.get(event.run_id ?? null, data.call_id) ?? {
    ...place(event),
    ...{ call_id: data.call_id, name: data.name, args: null, progress: null, result: null, content_type: null },
    ...{ ...ANEW, withdrawn: false },
  };

const toolStarted: Handler = (inside, event, data) => {
  const call = toolOf(inside, event, data);
  if (call.status === "completed") return;
  inside.tools.put({ ...call, ...pick(data, "name", "args"), ...ANEW, progress: null, withdrawn: false });
};

const toolProgress: Handler = (inside, event, data) => {
  const call = toolOf(inside, event, data);
  if (call.status !== "running") return;
  inside.tools.put({ ...call, progress: pick(data, "text", "fraction"), withdrawn: false });
};

const toolEnded: Handler = (inside, event, data) =>
  inside.tools.put({
    ...toolOf(inside, event, data),
    ...pick(data, "result", "error", "content_type", "duration_ms"),
    ...{ status: outcome(event), withdrawn: false },
  });

export const WORKING: Handlers = {
  "step.started": stepStarted,
  "step.completed": stepEnded,
  "step.failed": stepEnded,
  "step.retrying": stepRetrying,
  "step.restarted": stepRestarted,
  "agent.started": agentStarted,
  "agent.completed": agentEnded,
  "agent.failed": agentEnded,
  "llm.started": llmStarted,
  "llm.delta": llmDelta,
  "llm.completed": llmEnded,
  "llm.failed": llmEnded,
  "tool.started": toolStarted,
  "tool.progress": toolProgress,
  "tool.completed": toolEnded,
  "tool.failed": toolEnded,
};
