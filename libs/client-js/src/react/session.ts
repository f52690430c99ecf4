/** A session in a component. */

import { useMemo } from "react";
import type { Accepted, RunView } from "../answers.js";
import type { Message, PendingInput, Run, Step } from "../fold/entries.js";
import type { Client, RunRequest } from "../types.js";
import { latestRun, openRuns } from "../views/activity.js";
import { type FollowOptions, useFollow } from "./follow.js";
import type { FollowStore, Moment } from "./store.js";

/** What can be done with a session. All of these stay the same functions for as long as client and session do. */
export interface SessionActions {
  /** Starts a run in this session; without a session, in a new one: its id is in the answer. */
  send(workflow: string, input?: unknown, more?: Omit<RunRequest, "workflow" | "input">): Promise<Accepted>;
  /** Asks for the end of a run; of the latest that has not ended, if none is named. */
  cancel(runId?: string, reason?: string): Promise<RunView>;
  /** Answers an open question; the first answer counts. */
  respond(inputId: string, value: unknown): Promise<RunView>;
  /** Tells a run something that it did not ask for; the latest that has not ended, if none is named. */
  steer(value: unknown, runId?: string): Promise<RunView>;
  /** Loads the state anew and follows it from there: the way back after `failed`. */
  reload(): void;
}

export interface Followed extends Moment {
  /** What was said, in order, without what was withdrawn. Those under way have `complete: false`. */
  readonly messages: readonly Message[];
  readonly steps: readonly Step[];
  readonly runs: readonly Run[];
  /** The questions that wait for an answer. */
  readonly pendingInputs: readonly PendingInput[];
  /** Whether a run has not ended yet. */
  readonly busy: boolean;
}

export interface UsedSession extends Followed, SessionActions {
  /** The run that appeared last. */
  readonly latest: Run | null;
}

/**
 * Follows a session: its state as it changes, at most once per frame, and what can be done with it.
 *
 *     const { messages, busy, send } = useSession(client, "s1");
 *
 * Make the client once, outside of the component: another client or session is followed anew. A session of null is not
 * known yet: nothing is followed, and `send` starts one. Unmounting closes the connection.
 */
export function useSession(client: Client, sessionId: string | null, options: FollowOptions = {}): UsedSession {
  const [store, moment] = useFollow(
    sessionId === null
      ? null
      : (begin) => ({
          begin,
          snapshot: (signal) => client.state(sessionId, {}, { signal }),
          stream: (how) => client.stream(sessionId, how),
        }),
    [client, sessionId],
    options,
  );
  const actions = useMemo(() => actionsOf(client, sessionId, store), [client, sessionId, store]);
  const followed = useFollowed(moment);
  return useMemo(() => ({ ...followed, ...actions, latest: latestRun(followed.state) }), [followed, actions]);
}

/** A moment with what most components look for in it. */
export function useFollowed(moment: Moment): Followed {
  const { state } = moment;
  const messages = useMemo(() => state.messages.filter((message) => !message.withdrawn), [state.messages]);
  return useMemo(() => {
    const { steps, runs, pending_inputs: pendingInputs } = moment.state;
    return { ...moment, messages, steps, runs, pendingInputs, busy: openRuns(moment.state).length > 0 };
  }, [moment, messages]);
}

function actionsOf(client: Client, sessionId: string | null, store: FollowStore): SessionActions {
  // Asked of the store when it is called, not of the render that made the caller.
  const openRun = (named: string | undefined): string => {
    const run = named ?? openRuns(store.look().state).at(-1)?.run_id;
    if (!run) throw new Error("no run of this session is under way");
    return run;
  };
  return {
    async send(workflow, input, more) {
      const accepted = await client.startRun({
        ...(sessionId !== null && { session_id: sessionId }),
        ...more,
        workflow,
        input,
      });
      // A session that didn't exist before exists now.
      if (store.look().status.state === "failed") store.reload();
      return accepted;
    },
    cancel: async (runId, reason) => client.cancel(openRun(runId), reason),
    respond: async (inputId, value) => respond(client, store, inputId, value),
    steer: async (value, runId) => client.steer(openRun(runId), value),
    reload: store.reload,
  };
}

/** Answers the question with this id, whichever run asked it. */
export function respond(client: Client, store: FollowStore, inputId: string, value: unknown): Promise<RunView> {
  const asked = store.look().state.pending_inputs.find((input) => input.input_id === inputId);
  if (!asked?.run_id) throw new Error(`nobody waits for an answer to '${inputId}'`);
  return client.respond(asked.run_id, inputId, value);
}
