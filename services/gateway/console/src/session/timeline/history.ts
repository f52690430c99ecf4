/** What the markers tell of the past: stages, attempts, tries, turns, tasks begun, questions asked. Pure. */

import type { HoldfastEvent } from "@holdfast/client";

export interface Stage {
  readonly name: string;
  readonly start: number;
  readonly seq: number;
}

/** Another worker, or the same one, goes on with a run. */
export interface Attempt {
  readonly attempt: number;
  readonly reason: string;
  readonly at: number;
  readonly seq: number;
}

/** A try that failed; the next one begins after `delay`. */
export interface Retry {
  readonly start: number;
  readonly delay: number;
  readonly error: string;
}

export interface Turn {
  readonly start: number;
  end: number | null;
  status: "completed" | "failed" | null;
  error: string | null;
}

export interface Begun {
  readonly start: number;
  end: number | null;
}

export interface Wait {
  readonly runId: string;
  readonly agent: string | null;
  readonly lane: string | null;
  readonly prompt: string;
  readonly start: number;
  readonly seq: number | null;
  end: number | null;
  expired: boolean;
}

/** Keys are `run`, `run\nstep`, `run\nagent\nlane`, `run\ntask` and input ids. */
export interface History {
  readonly stages: ReadonlyMap<string, readonly Stage[]>;
  readonly attempts: ReadonlyMap<string, readonly Attempt[]>;
  readonly runRetries: ReadonlyMap<string, readonly Retry[]>;
  readonly retries: ReadonlyMap<string, readonly Retry[]>;
  readonly restarts: ReadonlyMap<string, readonly number[]>;
  readonly turns: ReadonlyMap<string, readonly Turn[]>;
  readonly tasks: ReadonlyMap<string, Begun>;
  readonly waits: ReadonlyMap<string, Wait>;
}

/** Return what the markers, in seq order, tell of the past. */
export function historyOf(markers: readonly HoldfastEvent[]): History {
  const stages = new Map<string, Stage[]>();
  const attempts = new Map<string, Attempt[]>();
  const runRetries = new Map<string, Retry[]>();
  const retries = new Map<string, Retry[]>();
  const restarts = new Map<string, number[]>();
  const turns = new Map<string, Turn[]>();
  const tasks = new Map<string, Begun>();
  const waits = new Map<string, Wait>();

  for (const marker of markers) {
    const at = Date.parse(marker.ts);
    if (Number.isNaN(at)) continue;
    const run = marker.run_id ?? "";
    const step = `${run}\n${marker.step ?? ""}`;
    switch (marker.type) {
      case "stage.changed":
        push(stages, run, { name: marker.data.to, start: at, seq: marker.seq });
        break;
      case "run.resumed":
        push(attempts, run, { attempt: marker.attempt ?? 0, reason: marker.data.reason, at, seq: marker.seq });
        break;
      case "run.retrying":
        push(runRetries, run, { start: at, delay: marker.data.delay_ms, error: marker.data.error.message });
        break;
      case "step.retrying":
        push(retries, step, { start: at, delay: marker.data.delay_ms, error: marker.data.error.message });
        break;
      case "step.restarted":
        push(restarts, step, at);
        break;
      case "agent.started":
        push(turns, turnKey(marker), { start: at, end: null, status: null, error: null });
        break;
      case "agent.completed":
      case "agent.failed": {
        const turn = turns.get(turnKey(marker))?.at(-1);
        if (!turn) break;
        turn.end = at;
        turn.status = marker.type === "agent.failed" ? "failed" : "completed";
        turn.error = marker.type === "agent.failed" ? marker.data.error.message : null;
        break;
      }
      case "task.started":
        tasks.set(`${run}\n${marker.data.task_id}`, { start: at, end: null });
        break;
      case "task.completed":
      case "task.failed":
      case "task.cancelled": {
        const begun = tasks.get(`${run}\n${marker.data.task_id}`);
        if (begun) begun.end = at;
        break;
      }
      case "input.requested":
        waits.set(marker.data.input_id, {
          runId: run,
          agent: marker.agent ?? null,
          lane: marker.lane ?? null,
          prompt: marker.data.prompt,
          start: at,
          seq: marker.seq,
          end: null,
          expired: false,
        });
        break;
      case "input.received":
      case "input.expired": {
        const wait = waits.get(marker.data.input_id);
        if (!wait) break;
        wait.end = at;
        wait.expired = marker.type === "input.expired";
        break;
      }
    }
  }
  return { stages, attempts, runRetries, retries, restarts, turns, tasks, waits };
}

type AgentEvent = Extract<HoldfastEvent, { type: "agent.started" | "agent.completed" | "agent.failed" }>;

function turnKey(event: AgentEvent): string {
  return `${event.run_id ?? ""}\n${event.data.name}\n${event.lane ?? ""}`;
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}
