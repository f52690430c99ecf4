/** A session's state, narrowed to one run. */

import type { State } from "../fold/entries.js";
import { TABLES } from "../fold/state.js";

/** What a run and the runs below it show: the state with the entries of all other runs left out. */
export function ofRun(state: State, run: string): State {
  const mine = new Set<string | null>([run]);
  // Runs stand in order of appearance, a run before those that it starts.
  for (const it of state.runs) if (mine.has(it.parent_run_id)) mine.add(it.run_id);
  const here = (it: { readonly run_id: string | null }): boolean => mine.has(it.run_id);
  const only = <T extends { readonly run_id: string | null }>(it: T | null): T | null => (it && here(it) ? it : null);
  return {
    ...state,
    stage: only(state.stage),
    progress: only(state.progress),
    checkpoint: only(state.checkpoint),
    notifications: state.notifications.filter(here),
    ...(Object.fromEntries(
      TABLES.map((name) => [name, (state[name] as readonly { run_id: string | null }[]).filter(here)]),
    ) as object),
  };
}
