/** Entries of the fold as spans: where each began and ended, which tries it took. Pure. */

import type { State } from "@holdfast/client";
import type { Selection } from "../contract.ts";
import type { History } from "./history.ts";
import { isOpen, type Part, type Span, timeOf } from "./spans.ts";

type Placed = { readonly run_id: string | null; readonly agent: string | null; readonly lane: string | null };

/** Makes spans of entries. `runEnds` tells when each run that ended did. */
export class SpanMaker {
  readonly #history: History;
  readonly #runEnds: ReadonlyMap<string, number>;

  constructor(history: History, runEnds: ReadonlyMap<string, number>) {
    this.#history = history;
    this.#runEnds = runEnds;
  }

  step(step: State["steps"][number]): Span {
    const key = step.key ?? "";
    const start = timeOf(step.ts);
    const end = isOpen(step.status) ? null : step.ended_ts ? timeOf(step.ended_ts) : this.#runEnd(step, start);
    return {
      ...this.#place(step),
      id: `step\n${step.run_id}\n${key}`,
      kind: "step",
      name: step.name,
      status: step.status,
      start,
      end,
      attempt: step.attempt,
      tries: 1 + (this.#history.retries.get(`${step.run_id}\n${key}`)?.length ?? 0),
      error: step.error?.message ?? null,
      note: null,
      parts: this.#parts(step.run_id, key, start, end),
      target: { kind: "step", run_id: step.run_id ?? "", key },
    };
  }

  call(
    kind: "llm" | "tool",
    name: string,
    call: State["tools"][number] | State["llm_calls"][number],
    callId: string,
  ): Span {
    const first = timeOf(call.ts);
    const end = this.#endOf(call, call.step, first);
    return {
      ...this.#place(call),
      id: `${kind}\n${call.run_id}\n${callId}`,
      kind,
      name,
      status: call.status,
      start: first,
      end,
      attempt: null,
      tries: 1,
      error: call.error?.message ?? null,
      note: noteOf(call),
      parts: call.step === null ? [] : this.#parts(call.run_id, call.step, first, end),
      target: { kind, run_id: call.run_id ?? "", call_id: callId },
    };
  }

  text(kind: "message" | "thought", id: string, text: State["messages"][number] | State["reasoning"][number]): Span {
    const start = timeOf(text.ts);
    const status = text.complete ? "completed" : text.cut ? "cancelled" : "running";
    const end = this.#endOf({ ...text, status }, text.step, start);
    return {
      ...this.#place(text),
      id: `${kind}\n${id}`,
      kind,
      name: kind === "message" ? "message" : "thinking",
      status,
      start,
      end,
      attempt: null,
      tries: 1,
      error: null,
      note: null,
      parts: text.step === null ? [] : this.#parts(text.run_id, text.step, start, end),
      target: kind === "message" ? { kind: "message", message_id: id } : { kind: "run", run_id: text.run_id ?? "" },
    };
  }

  /** Every turn of every agent that the markers tell of, and the latest where they don't. */
  turns(agents: State["agents"]): Span[] {
    return agents.flatMap((agent) => {
      const turns = this.#history.turns.get(`${agent.run_id}\n${agent.name}\n${agent.lane ?? ""}`);
      const target: Selection = { kind: "agent", run_id: agent.run_id ?? "", name: agent.name, lane: agent.lane };
      const base = {
        ...this.#place(agent),
        kind: "agent" as const,
        name: agent.name,
        attempt: null,
        tries: 1,
        parts: [],
      };
      const id = `agent\n${agent.run_id}\n${agent.name}\n${agent.lane ?? ""}`;
      const last = { status: agent.status, error: agent.error?.message ?? null, note: agent.role, target };
      if (turns === undefined) {
        const start = timeOf(agent.ts);
        return [{ ...base, ...last, id, start, end: this.#endOf(agent, null, start) }];
      }
      return turns.map((turn, at): Span => {
        const whole = { ...base, id: `${id}\n${at}`, start: turn.start, target };
        if (at < turns.length - 1 || turn.end !== null) {
          const status = turn.status ?? "completed";
          return {
            ...whole,
            status,
            end: turn.end ?? turns[at + 1]?.start ?? null,
            error: turn.error,
            note: agent.role,
          };
        }
        const end = isOpen(agent.status) ? null : this.#runEnd(agent, turn.start);
        return { ...whole, ...last, end };
      });
    });
  }

  /** Tasks that were begun: a planned one has no place in time yet. */
  tasks(tasks: State["tasks"]): Span[] {
    return tasks.flatMap((task): Span[] => {
      const begun = this.#history.tasks.get(`${task.run_id}\n${task.task_id}`);
      if (task.status === "pending" || (begun === undefined && task.duration_ms === null && !isOpen(task.status)))
        return [];
      const start = begun?.start ?? timeOf(task.ts);
      const end = isOpen(task.status) ? null : (begun?.end ?? this.#endOf(task, null, start));
      return [
        {
          ...this.#place(task),
          id: `task\n${task.run_id}\n${task.task_id}`,
          kind: "task",
          name: task.title ?? task.task_id,
          status: task.status,
          start,
          end,
          attempt: null,
          tries: 1,
          error: task.error?.message ?? null,
          note: task.reason,
          parts: [],
          target: { kind: "task", run_id: task.run_id ?? "", task_id: task.task_id },
        },
      ];
    });
  }

  /** Questions to people, answered or not. */
  waits(pending: State["pending_inputs"]): Span[] {
    const waits = new Map(this.#history.waits);
    for (const asked of pending) {
      if (waits.has(asked.input_id)) continue;
      const known = { runId: asked.run_id ?? "", agent: asked.agent, lane: asked.lane, prompt: asked.prompt };
      waits.set(asked.input_id, { ...known, start: timeOf(asked.ts), end: null, seq: null, expired: false });
    }
    return [...waits].map(([id, wait]) => ({
      id: `wait\n${id}`,
      kind: "wait",
      name: wait.prompt,
      status: wait.expired ? "failed" : wait.end !== null || this.#runEnds.has(wait.runId) ? "completed" : "waiting",
      start: wait.start,
      end: wait.end ?? this.#runEnds.get(wait.runId) ?? null,
      runId: wait.runId,
      agent: wait.agent,
      lane: wait.lane,
      attempt: null,
      tries: 1,
      error: wait.expired ? "Nobody answered in time." : null,
      note: null,
      parts: [],
      target: wait.seq === null ? { kind: "run", run_id: wait.runId } : { kind: "event", seq: wait.seq },
    }));
  }

  #place(entry: Placed): { runId: string; agent: string | null; lane: string | null } {
    return { runId: entry.run_id ?? "", agent: entry.agent, lane: entry.lane };
  }

  #runEnd(entry: { readonly run_id: string | null }, start: number): number {
    return Math.max(start, this.#runEnds.get(entry.run_id ?? "") ?? start);
  }

  // A duration is the last try's: it counts from there, not from when the thing first appeared.
  #endOf(
    entry: { readonly run_id: string | null; readonly status: string; readonly duration_ms: number | null },
    step: string | null,
    start: number,
  ): number | null {
    if (isOpen(entry.status)) return null;
    if (entry.duration_ms === null) return this.#runEnd(entry, start);
    const restarts = step === null ? undefined : this.#history.restarts.get(`${entry.run_id}\n${step}`);
    return Math.max(start, restarts?.at(-1) ?? start) + entry.duration_ms;
  }

  #parts(runId: string | null, key: string, start: number, end: number | null): Part[] {
    const parts: Part[] = [];
    for (const retry of this.#history.retries.get(`${runId}\n${key}`) ?? []) {
      const until = Math.min(retry.start + retry.delay, end ?? Number.POSITIVE_INFINITY);
      if (until > retry.start) parts.push({ kind: "pause", start: retry.start, end: until, note: retry.error });
    }
    let from = start;
    for (const restart of this.#history.restarts.get(`${runId}\n${key}`) ?? []) {
      if (restart <= from) continue;
      parts.push({ kind: "lost", start: from, end: restart, note: "lost with its worker, done over" });
      from = restart;
    }
    return parts;
  }
}

function noteOf(call: State["tools"][number] | State["llm_calls"][number]): string | null {
  if ("progress" in call) return call.status === "running" ? (call.progress?.text ?? null) : null;
  const tokens = call.usage?.output_tokens;
  const first = call.time_to_first_token_ms;
  const said = [tokens === undefined ? null : `${tokens} tokens`, first === null ? null : `first after ${first} ms`];
  return said.filter((part) => part !== null).join(", ") || null;
}
