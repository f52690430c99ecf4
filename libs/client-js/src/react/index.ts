"use client";

/**
 * Sessions and runs in React (18 or later): hooks whose state moves with the log, safe under StrictMode and on a
 * server, without a stale closure.
 */

export type { FollowOptions } from "./follow.js";
export { type RunActions, type UsedRun, useRun } from "./run.js";
export { type Followed, type SessionActions, type UsedSession, useSession } from "./session.js";
export { type Callbacks, FollowStore, type Moment, type Source } from "./store.js";
