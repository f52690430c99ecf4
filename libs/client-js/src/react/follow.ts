/** What `useSession` and `useRun` share: a store per thing followed, and the callbacks of the latest render. */

import { useInsertionEffect, useMemo, useSyncExternalStore } from "react";
import type { State } from "../fold/entries.js";
import type { Callbacks, Moment } from "./store.js";
import { FollowStore, type Source } from "./store.js";

export interface FollowOptions extends Callbacks {
  /**
   * What to begin with. `"snapshot"`, the default: the state as the gateway has it, and the events after it.
   * `"start"`: the first event, so that `onEvent` gets all of them. Or a state that is had already, such as one that the
   * page was rendered with on a server. Read at the first render only.
   */
  readonly begin?: "snapshot" | "start" | State;
}

/** Follows the source that `make` returns; a new one when `what` changes. Null: nothing to follow yet. */
export function useFollow(
  make: ((begin: Source["begin"]) => Source) | null,
  what: readonly unknown[],
  { begin = "snapshot", ...callbacks }: FollowOptions,
): [store: FollowStore, moment: Moment] {
  // biome-ignore lint/correctness/useExhaustiveDependencies: `what` is all that `make` depends on; `begin` is for the beginning.
  const store = useMemo(() => new FollowStore(make?.(begin) ?? null), what);
  // Before any effect of this render, so that no event finds the callbacks of an earlier one.
  useInsertionEffect(() => {
    store.callbacks = callbacks;
  });
  return [store, useSyncExternalStore(store.subscribe, store.look, store.look)];
}
