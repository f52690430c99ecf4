/** What an interruption must not change. */

import type { Entries, Notice, State } from "../fold/entries.js";
import { TABLES } from "../fold/state.js";

/** What another attempt changes even if nothing was lost: when, how long, which try. */
const OF_THE_ATTEMPT = new Set([
  ...["attempt", "ts", "created_ts", "started_ts", "ended_ts"],
  ...["duration_ms", "time_to_first_token_ms", "deadline"],
]);

// Only an entry's own fields: what applications put into results and contents is theirs.
const stripped = (entry: object): object =>
  Object.fromEntries(Object.entries(entry).filter(([name]) => !OF_THE_ATTEMPT.has(name)));

/**
 * What an interrupted and an uninterrupted run have in common, for tests to compare. Left out: seq, attempts, times and
 * durations, the last checkpoint (frameworks make their ids from the time) and withdrawn entries, which nobody is shown.
 */
export function withoutAttempts(state: State): { readonly [name in keyof State]?: unknown } {
  const { session, stage, progress, shared, notifications } = state;
  const shown = (entries: readonly (Entries[keyof Entries] | Notice)[]): object[] =>
    entries.filter((entry) => !("withdrawn" in entry && entry.withdrawn)).map(stripped);
  return {
    ...{ session: stripped(session), stage, progress, shared, notifications: shown(notifications) },
    ...Object.fromEntries(TABLES.map((name) => [name, shown(state[name])])),
  };
}
