/** What an event changed: two states compared. Entries are never changed in place, so that `===` tells. Pure. */

import type { State } from "@holdfast/client";

/** A field of an entry, before and after. */
export interface FieldChange {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
  /** What was added to the end of a text, instead of all of it. */
  readonly appended: string | null;
}

export interface Change {
  readonly kind: "added" | "changed" | "removed";
  /** The key of the state that it is in: `messages`, `stage`. */
  readonly table: string;
  /** What tells the entry from others, in words: `boss`, `run_01a…`; null where the table has but one. */
  readonly entry: string | null;
  readonly id: string;
  readonly fields: readonly FieldChange[];
}

type TableName = (typeof TABLES)[number];
type Fields = Readonly<Record<string, unknown>>;

const TABLES = [
  "runs",
  "messages",
  "reasoning",
  "steps",
  "agents",
  "llm_calls",
  "tools",
  "plans",
  "tasks",
  "components",
  "pending_inputs",
  "artifacts",
] as const;

/** What an entry is found by. */
const KEYS: Readonly<Record<TableName, readonly string[]>> = {
  runs: ["run_id"],
  messages: ["message_id"],
  reasoning: ["reasoning_id"],
  steps: ["run_id", "key"],
  agents: ["run_id", "name", "lane"],
  llm_calls: ["run_id", "call_id"],
  tools: ["run_id", "call_id"],
  plans: ["run_id", "plan_id"],
  tasks: ["run_id", "task_id"],
  components: ["component_id"],
  pending_inputs: ["input_id"],
  artifacts: ["run_id", "artifact_id"],
};

/** What an entry is called, the first of these that it has. */
const NAMES = ["title", "name", "prompt", "workflow", "component_type", "model", "agent", "role"];

/** Fields that say where an entry belongs: of a new one they are not news. */
const PLACE: ReadonlySet<string> = new Set(["run_id", "parent_run_id", "session_id", "ts", "step", "lane"]);

/** Return what differs between two states, in the order in which the state tells it. */
export function changesOf(before: State, after: State): Change[] {
  const changes: Change[] = [];
  for (const field of ["session", "stage", "progress", "checkpoint"] as const) {
    one(changes, field, before[field] as Fields | null, after[field] as Fields | null);
  }
  one(changes, "shared", before.shared, after.shared);
  for (const table of TABLES) {
    if (before[table] !== after[table])
      tables(changes, table, before[table] as readonly object[], after[table] as readonly object[]);
  }
  const known = new Set(before.notifications);
  after.notifications.forEach((notice, at) => {
    if (known.has(notice)) return;
    changes.push({
      kind: "added",
      table: "notifications",
      entry: null,
      id: `notifications\n${at}`,
      fields: fieldsOf(null, { ...notice }),
    });
  });
  return changes;
}

function one(changes: Change[], table: string, before: Fields | null, after: Fields | null): void {
  if (before === after) return;
  const fields = fieldsOf(before, after ?? {}, false);
  if (fields.length === 0 && before !== null && after !== null) return;
  const kind = before === null ? "added" : after === null ? "removed" : "changed";
  changes.push({ kind, table, entry: null, id: table, fields });
}

function tables(changes: Change[], table: TableName, before: readonly object[], after: readonly object[]): void {
  const keyOf = (entry: object): string => JSON.stringify(KEYS[table].map((key) => (entry as Fields)[key]));
  const earlier = new Map(before.map((entry) => [keyOf(entry), entry]));
  for (const entry of after) {
    const key = keyOf(entry);
    const old = earlier.get(key);
    earlier.delete(key);
    if (old === entry) continue;
    const entryName = nameOf(entry as Fields);
    // A new entry is called by its name: that need not be said twice.
    const fields = fieldsOf((old ?? null) as Fields | null, entry as Fields).filter(
      (field) => old !== undefined || field.after !== entryName,
    );
    if (old !== undefined && fields.length === 0) continue;
    changes.push({ kind: old ? "changed" : "added", table, entry: entryName, id: `${table}\n${key}`, fields });
  }
  for (const [key, gone] of earlier) {
    changes.push({ kind: "removed", table, entry: nameOf(gone as Fields), id: `${table}\n${key}`, fields: [] });
  }
}

function fieldsOf(before: Fields | null, after: Fields, placed = true): FieldChange[] {
  const fields: FieldChange[] = [];
  for (const field of new Set([...Object.keys(before ?? {}), ...Object.keys(after)])) {
    const [old, now] = [before?.[field], after[field]];
    if (old === now || sameJson(old, now)) continue;
    // Of what is new only what is known of it is told.
    if (before === null && (now === null || now === "" || now === false || (placed && PLACE.has(field)))) continue;
    const appended = typeof old === "string" && typeof now === "string" && old !== "" && now.startsWith(old);
    fields.push({
      field,
      before: old,
      after: now,
      appended: appended ? (now as string).slice((old as string).length) : null,
    });
  }
  return fields;
}

function sameJson(a: unknown, b: unknown): boolean {
  return typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b);
}

function nameOf(entry: Fields): string | null {
  for (const name of NAMES) {
    const value = entry[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return null;
}
