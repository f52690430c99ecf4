/**
 * Events → state, purely: what a session looks like at a seq. The twin of the gateway's fold: the same events give the
 * same state in both, tested on shared vectors and on random histories.
 *
 * What it says of a run that was interrupted and taken over is what it would say had nothing happened. No sequence of
 * valid events makes it fail, and a type that it doesn't know changes nothing but the seq. Nothing grows without a
 * bound, neither in entries nor in what they weigh: beyond it the oldest entry of its kind goes and `forgotten` counts
 * it.
 */

import type { MessageView } from "../answers.js";
import type { State } from "./entries.js";
import type { Handler, Recorded } from "./handler.js";
import { PLANNING } from "./planning.js";
import { RUNNING } from "./running.js";
import { SAYING } from "./saying.js";
import { SHOWING } from "./showing.js";
import { emptyState, type Folding, INSIDE, trim } from "./state.js";
import { WORKING } from "./working.js";

const HANDLERS = new Map<string, Handler>(
  [RUNNING, WORKING, SAYING, PLANNING, SHOWING].flatMap((family) => Object.entries(family)),
);

/**
 * Brings `state` from an earlier seq to the event's, in place, and returns it. An event at or below the state's seq was
 * applied before and changes nothing. The event itself is never changed, nor is any entry that the state showed before.
 */
export function apply(state: Folding, event: Recorded): Folding {
  const inside = state[INSIDE];
  const { fields } = inside;
  if (event.seq <= fields.seq) return state;
  fields.seq = event.seq;
  const handle = HANDLERS.get(event.type);
  if (handle) {
    if (fields.session.session_id === null) fields.session = { ...fields.session, session_id: event.session_id };
    handle(inside, event, event.data);
    trim(inside);
  }
  return state;
}

/** What the events, in seq order, add up to. */
export function fold(events: Iterable<Recorded>): Folding {
  const state = emptyState();
  for (const event of events) apply(state, event);
  return state;
}

/** Every complete message once, in order of first appearance: the items of `GET /v1/sessions/{s}/messages`. */
export function messages(state: State): MessageView[] {
  return state.messages
    .filter((message) => message.complete)
    .map(({ message_id: id, role, content, content_type, agent, step, run_id, trace_id, ts }) => ({
      ...{ id, role, content, content_type, agent, step, run_id, trace_id, ts },
    }));
}

export type * from "./entries.js";
export type { Recorded } from "./handler.js";
export { emptyState, FOLD_VERSION, type Folding } from "./state.js";
export { fromPlain, toPlain } from "./wire.js";
