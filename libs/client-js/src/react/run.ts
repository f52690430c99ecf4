/** A run in a component. */

import { useMemo } from "react";
import type { RunView } from "../answers.js";
import type { Run } from "../fold/entries.js";
import type { Client } from "../types.js";
import { ofRun } from "../views/of_run.js";
import { type FollowOptions, useFollow } from "./follow.js";
import { type Followed, respond, useFollowed } from "./session.js";
import type { FollowStore, Source } from "./store.js";

/** What can be done with a run. All of these stay the same functions for as long as client and run do. */
export interface RunActions {
  cancel(reason?: string): Promise<RunView>;
  /** Answers an open question; the first answer counts. */
  respond(inputId: string, value: unknown): Promise<RunView>;
  /** Tells the run something that it did not ask for. */
  steer(value: unknown): Promise<RunView>;
  /** Loads the state anew and follows it from there: the way back after `failed`. */
  reload(): void;
}

export interface UsedRun extends Followed, RunActions {
  /** The run itself; null until it is known. */
  readonly run: Run | null;
}

/**
 * Follows one run and those below it, until it ends; else as `useSession`. A run of null is not known yet.
 *
 *     const { run, messages, cancel } = useRun(client, runId);
 */
export function useRun(client: Client, runId: string | null, options: FollowOptions = {}): UsedRun {
  const [store, moment] = useFollow(
    runId === null ? null : (begin) => sourceOf(client, runId, begin),
    [client, runId],
    options,
  );
  const actions = useMemo(() => actionsOf(client, runId, store), [client, runId, store]);
  const followed = useFollowed(moment);
  return useMemo(
    () => ({ ...followed, ...actions, run: followed.runs.find((run) => run.run_id === runId) ?? null }),
    [followed, actions, runId],
  );
}

function sourceOf(client: Client, runId: string, begin: Source["begin"]): Source {
  return {
    begin,
    // The gateway folds sessions: of the run's, all else is left out.
    async snapshot(signal) {
      const { session_id } = await client.run(runId, { signal });
      return ofRun(await client.state(session_id, {}, { signal }), runId);
    },
    stream: (how) => client.runStream(runId, how),
  };
}

function actionsOf(client: Client, runId: string | null, store: FollowStore): RunActions {
  const mine = (): string => {
    if (runId === null) throw new Error("the run is not known yet");
    return runId;
  };
  return {
    cancel: async (reason) => client.cancel(mine(), reason),
    respond: async (inputId, value) => respond(client, store, inputId, value),
    steer: async (value) => client.steer(mine(), value),
    reload: store.reload,
  };
}
