/**
 * A state and its markers → what a person reads, in order: who said, thought and did what (the client's `conversation`),
 * and what divides and frames it: runs, stages, plans, failures, answers.
 *
 * Entries tell when they first appeared (`ts`, which never goes back within a session) but not at which seq. What
 * shares a millisecond stands in the order of `RANK`.
 */

import type { HoldfastEvent, ErrorInfo as WireError } from "@holdfast/client";
import type { Component, ErrorInfo, LlmCall, Plan, Run, State, Step, Task } from "@holdfast/client/fold";
import { type ConversationItem, conversation } from "@holdfast/client/views";
import { extrasOf } from "./extras.ts";

/** What the client's conversation doesn't have. */
interface Extras {
  "run-started": { readonly run: Run; readonly input: unknown };
  "run-resumed": { readonly attempt: number; readonly reason: string };
  "run-retrying": { readonly error: ErrorInfo | WireError; readonly delayMs: number };
  "run-ended": { readonly run: Run };
  stage: { readonly to: string };
  model: { readonly entry: LlmCall };
  step: { readonly entry: Step };
  component: { readonly entry: Component };
  plan: { readonly plan: Plan | null; readonly tasks: readonly Task[] };
  answer: { readonly prompt: string | null; readonly value: unknown; readonly who: string | null };
  unanswered: { readonly prompt: string | null };
  refused: { readonly command: string; readonly reason: string };
}

export type Extra = {
  readonly [kind in keyof Extras]: {
    readonly kind: kind;
    readonly key: string;
    readonly ts: string;
    readonly runId: string | null;
  } & Extras[kind];
}[keyof Extras];

/** One row. `key` is stable over all that happens to it. */
export type Item = Exclude<ConversationItem, { kind: "component" }> | Extra;

export type ItemOf<Kind extends Item["kind"]> = Extract<Item, { kind: Kind }>;

/** What comes first of what shares a millisecond: causes before effects. */
const RANK: Readonly<Record<Item["kind"], number>> = {
  answer: 0,
  unanswered: 0,
  refused: 0,
  "run-resumed": 1,
  "run-started": 2,
  "run-retrying": 3,
  stage: 4,
  plan: 5,
  reasoning: 6,
  message: 7,
  tool: 8,
  model: 9,
  step: 10,
  component: 11,
  artifact: 12,
  notice: 13,
  input: 14,
  "run-ended": 15,
};

const SAID = ["reasoning", "message", "tool", "artifact", "notice", "input"] as const;

/** Return the rows of a state. */
export type Reader = (state: State, markers: readonly HoldfastEvent[]) => readonly Item[];

/** Return a reader that remembers where components first stood: rendered again, they stay in their place. */
export function createReader(): Reader {
  const places = new Map<string, string>();
  return (state, markers) => {
    for (const { component_id, ts } of state.components) {
      // The earliest time that was seen: a replay may show it before it was rendered again.
      const known = places.get(component_id);
      if (known === undefined || ts < known) places.set(component_id, ts);
    }
    const said = conversation(state, { kinds: SAID }) as Item[];
    // Both parts are nearly in order already: the sort finds a few long runs and merges them.
    return said.concat(extrasOf(state, markers, places)).sort((a, b) => {
      const [at, bt] = [timeOf(a), timeOf(b)];
      return at < bt ? -1 : at > bt ? 1 : RANK[a.kind] - RANK[b.kind];
    });
  };
}

/** When a row's beginning happened. */
export function timeOf(item: Item): string {
  return "ts" in item ? item.ts : item.entry.ts;
}

/** Whose row it is. */
export function runOf(item: Item): string | null {
  return "runId" in item ? item.runId : item.entry.run_id;
}
