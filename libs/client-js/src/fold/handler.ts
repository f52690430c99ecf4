/** What the handlers of all families are made of. */

import type { Entry } from "./entries.js";
import type { Inside } from "./state.js";

/** What a fold reads of an event, as the wire has it. */
export interface Recorded {
  readonly seq: number;
  readonly type: string;
  readonly session_id: string;
  readonly ts: string;
  readonly run_id?: string | null;
  readonly parent_run_id?: string | null;
  readonly attempt?: number | null;
  readonly agent?: string | null;
  readonly step?: string | null;
  readonly lane?: string | null;
  readonly trace_id?: string | null;
  readonly data: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: an event's type says which fields its data has, and the gateway keeps to it.
export type Data = any;

/** What one type of event does to a state. */
export type Handler = (inside: Inside, event: Recorded, data: Data) => void;
export type Handlers = { readonly [type: string]: Handler };

/** Where and when the event happened. */
export const place = (event: Recorded): Entry => ({ ...pick(event, "run_id", "step", "agent", "lane"), ts: event.ts });

/** These fields; null for those that are absent. */
export function pick<K extends string>(from: Data, ...names: K[]): { [name in K]: Data } {
  return Object.fromEntries(names.map((name) => [name, from[name] ?? null])) as { [name in K]: Data };
}

/** `completed` of `run.completed`. */
export const outcome = (event: Recorded): Data => event.type.split(".")[1];
