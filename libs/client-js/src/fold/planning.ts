/** Plans and their tasks. */

import type { Plan, Task } from "./entries.js";
import { type Data, type Handler, type Handlers, outcome, pick, place, type Recorded } from "./handler.js";
import type { Inside } from "./state.js";
import { keyOf } from "./table.js";

const planOf = ({ plans }: Inside, event: Recorded, data: Data): Plan =>
  plans.get(event.run_id ?? null, data.plan_id) ?? {
    ...place(event),
    ...{ plan_id: data.plan_id, title: null, items: [], status: "created", error: null },
  };

/** A plan is made or made anew: tasks of the earlier one that nobody began are gone. */
const planCreated: Handler = (inside, event, data) => {
  const items: Plan["items"] = data.items ?? [];
  const made = { ...planOf(inside, event, data), ...pick(data, "title"), items, error: null };
  inside.plans.put({ ...made, status: "created" });
  const planned = new Set(items.map((item) => item.task_id));
  for (const { status, plan_id, task_id } of inside.tasks.openOf(made.run_id))
    if (status === "pending" && plan_id === data.plan_id && !planned.has(task_id))
      inside.tasks.drop(keyOf(made.run_id, task_id));
  for (const { task_id, title } of items)
    inside.tasks.put({ ...taskOf(inside, event, task_id, "pending"), plan_id: data.plan_id, title });
};

const planFailed: Handler = (inside, event, data) =>
  inside.plans.put({ ...planOf(inside, event, data), status: "failed", error: data.error });

const taskOf = ({ tasks }: Inside, event: Recorded, task_id: string, status: Task["status"]): Task =>
  tasks.get(event.run_id ?? null, task_id) ?? {
    ...place(event),
    ...{ task_id, status, plan_id: null, title: null, result: null, error: null, reason: null, duration_ms: null },
  };

/** Work on the task begins, or begins again after it failed. */
const taskStarted: Handler = (inside, event, data) => {
  const task = taskOf(inside, event, data.task_id, "running");
  if (task.status === "completed") return;
  const anew = { status: "running", error: null, reason: null, duration_ms: null } as const;
  inside.tasks.put({ ...task, ...anew, title: data.title || task.title });
};

const taskEnded: Handler = (inside, event, data) =>
  inside.tasks.put({
    ...taskOf(inside, event, data.task_id, "running"),
    ...pick(data, "reason", "result", "error", "duration_ms"),
    status: outcome(event),
  });

export const PLANNING: Handlers = {
  "plan.created": planCreated,
  "plan.failed": planFailed,
  "task.started": taskStarted,
  "task.completed": taskEnded,
  "task.failed": taskEnded,
  "task.cancelled": taskEnded,
};
