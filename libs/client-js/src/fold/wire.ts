/** A state as JSON: what `GET /v1/sessions/{s}/state` answers. */

import type { State } from "./entries.js";
import { emptyState, FOLD_VERSION, type Folding, INSIDE, NOTICES_MAX, TABLES } from "./state.js";
import type { Table } from "./table.js";

/** The state as it is now, as a plain JSON object that later events don't change. */
export const toPlain = (state: State): State => ({ ...state });

/**
 * The state that a JSON object tells of, to fold on from; the object is left alone. Throws a RangeError when another
 * version of the fold made it.
 */
export function fromPlain(plain: State): Folding {
  if (plain.fold_version !== FOLD_VERSION)
    throw new RangeError(`a state of fold version ${plain.fold_version}; this one is ${FOLD_VERSION}`);
  const state = emptyState();
  const inside = state[INSIDE];
  const { seq, session, stage, progress, checkpoint } = plain;
  const notifications = plain.notifications.slice(-NOTICES_MAX);
  Object.assign(inside.fields, { seq, session, stage, progress, checkpoint, notifications });
  inside.shared.set(plain.shared);
  for (const name of TABLES) {
    const table = inside[name] as unknown as Table<{ run_id: null }>;
    for (const entry of plain[name]) table.put(entry as never);
    table.forgotten = plain.forgotten[name] ?? 0;
  }
  return state;
}
