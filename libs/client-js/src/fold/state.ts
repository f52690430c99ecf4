/** The state of a session at a seq, as `apply` changes it: tables to find entries in, and the lists that readers see. */

import type * as of from "./entries.js";
import type { Entries, Notice, State } from "./entries.js";
import { Shared } from "./shared.js";
import { Table } from "./table.js";

/** Another version folds the same events into another state: snapshots of it are of no use. */
export const FOLD_VERSION = 2;

/** Notices are for the moment; the last hundred are two screens of them. */
export const NOTICES_MAX = 100;

/**
 * Beyond this weight of all tables together the heaviest one forgets its oldest entry: the server's bound, some 4 MB of
 * JSON. Longer histories are read from the log, page by page.
 */
export const WEIGHT_MAX = 4 * 1024 * 1024;

const OPEN = new Set(["queued", "pending", "running", "retrying", "waiting"]);

/** Whether something may still happen to a thing of this status. */
export const isOpen = (thing: { readonly status: string }): boolean => OPEN.has(thing.status);

const unfinished = (text: { readonly complete: boolean; readonly cut: boolean }): boolean =>
  !(text.complete || text.cut);
const always = (): boolean => true;
const never = (): boolean => false;

/** What the tables' entries are found by, and which of them are open. Keys as in the server's `State`. */
const newTables = (): Tables => ({
  runs: new Table<of.Run>(["run_id"], isOpen),
  messages: new Table<of.Message>(["message_id"], unfinished),
  reasoning: new Table<of.Reasoning>(["reasoning_id"], unfinished),
  steps: new Table<of.Step>(["run_id", "key"], isOpen),
  agents: new Table<of.Agent>(["run_id", "name", "lane"], isOpen),
  llm_calls: new Table<of.LlmCall>(["run_id", "call_id"], isOpen),
  tools: new Table<of.ToolCall>(["run_id", "call_id"], isOpen),
  plans: new Table<of.Plan>(["run_id", "plan_id"], never),
  tasks: new Table<of.Task>(["run_id", "task_id"], isOpen),
  components: new Table<of.Component>(["component_id"], never),
  pending_inputs: new Table<of.PendingInput>(["input_id"], always),
  artifacts: new Table<of.Artifact>(["run_id", "artifact_id"], never),
});

export type Tables = { readonly [name in keyof Entries]: Table<Entries[name]> };

/** A state that `apply` brings forward, in place. */
export interface Folding extends State {
  readonly [INSIDE]: Inside;
}

/** The fields that handlers set. */
export type Fields = { -readonly [name in "seq" | "session" | "stage" | "progress" | "checkpoint"]: State[name] } & {
  notifications: readonly Notice[];
};

/** What handlers work on. */
export interface Inside extends Tables {
  readonly fields: Fields;
  readonly shared: Shared;
}

/** Where a state keeps it. Not enumerable: JSON or a spread of the state has the server's keys alone. */
export const INSIDE = Symbol("inside");

const newFields = (session_id: string | null = null): Omit<Fields, "seq"> => ({
  session: { session_id, status: "active", metadata: {}, ttl_s: null, created_ts: null },
  stage: null,
  progress: null,
  checkpoint: null,
  notifications: [],
});

/** The state before the first event. */
export function emptyState(): Folding {
  const fields: Fields = { seq: 0, ...newFields() };
  const tables = newTables();
  const shared = new Shared();
  const state = Object.assign(fields, { fold_version: FOLD_VERSION });
  const show = (name: keyof State, get: () => unknown) => Object.defineProperty(state, name, { get, enumerable: true });
  show("shared", () => shared.object);
  for (const name of TABLES) show(name, () => tables[name].list);
  show("forgotten", () =>
    Object.fromEntries(TABLES.filter((name) => tables[name].forgotten).map((name) => [name, tables[name].forgotten])),
  );
  const inside: Inside = { fields, shared, ...tables };
  return Object.defineProperty(state, INSIDE, { value: inside }) as unknown as Folding;
}

/** The tables, in the order in which they are told. */
export const TABLES = Object.keys(newTables()) as (keyof Entries)[];

/** Lets the oldest entries of the heaviest tables go until all together are light enough. */
export function trim(inside: Inside): void {
  const weights = () => TABLES.reduce((sum, name) => sum + inside[name].weight, 0);
  while (weights() > WEIGHT_MAX) {
    // Of two that weigh the same, the one that is told first.
    const heaviest = TABLES.reduce((best, name) => (inside[name].weight > inside[best].weight ? name : best));
    inside[heaviest].forget();
  }
}

/** Forgets everything but the seq and the session's id. */
export function clear(inside: Inside): void {
  Object.assign(inside.fields, newFields(inside.fields.session.session_id));
  inside.shared.clear();
  for (const name of TABLES) inside[name].clear();
}
