/** A session as a conversation: everything that people are shown, of all kinds, in the order in which it appeared. */

import type {
  Artifact,
  Component,
  Message,
  Notice,
  PendingInput,
  Reasoning,
  State,
  ToolCall,
} from "../fold/entries.js";
import { mergedByTime } from "./order.js";

/** What each kind of item shows. */
export interface Shown {
  message: Message;
  reasoning: Reasoning;
  tool: ToolCall;
  component: Component;
  artifact: Artifact;
  notice: Notice;
  input: PendingInput;
}

export type ItemKind = keyof Shown;

/** Look at `kind`, and `entry` has its type. `key` is the item's for good: React's `key`. */
export type ConversationItem = {
  [kind in ItemKind]: { readonly kind: kind; readonly key: string; readonly entry: Shown[kind] };
}[ItemKind];

// Of things that appeared in the same millisecond, this is the likely order: thoughts come before words, and a question
// after what led to it.
const ALL: readonly ItemKind[] = ["notice", "reasoning", "message", "tool", "component", "artifact", "input"];

const LISTS: { readonly [kind in ItemKind]: (state: State) => readonly Shown[kind][] } = {
  message: (state) => state.messages,
  reasoning: (state) => state.reasoning,
  tool: (state) => state.tools,
  component: (state) => state.components,
  artifact: (state) => state.artifacts,
  notice: (state) => state.notifications,
  input: (state) => state.pending_inputs,
};

let notices = 0;

const KEYS: { readonly [kind in ItemKind]: (entry: Shown[kind]) => string } = {
  message: (entry) => `message ${entry.message_id}`,
  reasoning: (entry) => `reasoning ${entry.reasoning_id}`,
  tool: (entry) => `tool ${entry.run_id} ${entry.call_id}`,
  component: (entry) => `component ${entry.component_id}`,
  artifact: (entry) => `artifact ${entry.run_id} ${entry.artifact_id}`,
  // Notices have no id, and never change either: each gets a number when it is first seen.
  notice: () => `notice ${notices++}`,
  input: (entry) => `input ${entry.input_id}`,
};

/** An entry's item, so that one that nothing happened to is the same object the next time. */
const items = new WeakMap<object, ConversationItem>();

function itemOf<K extends ItemKind>(kind: K, entry: Shown[K]): ConversationItem {
  let item = items.get(entry);
  if (!item) {
    item = { kind, key: KEYS[kind](entry), entry } as unknown as ConversationItem;
    items.set(entry, item);
  }
  return item;
}

export interface ConversationOptions {
  /** Only these kinds. */
  readonly kinds?: readonly ItemKind[];
  /** Only what this run shows. */
  readonly run?: string;
}

/**
 * Everything that people are shown, in order of first appearance: messages, thoughts, tool calls, components,
 * artifacts, notices and open questions. What was withdrawn is left out until it is shown anew. An item that nothing
 * happened to is the same object at every call.
 *
 * The order within one kind is the log's. Between kinds it is that of the workers' clocks, to the millisecond.
 */
export function conversation(state: State, { kinds = ALL, run }: ConversationOptions = {}): ConversationItem[] {
  const wanted = ALL.filter((kind) => kinds.includes(kind));
  const lists = wanted.map((kind) => {
    const shown = (entry: Shown[typeof kind]): boolean =>
      !("withdrawn" in entry && entry.withdrawn) && (run === undefined || entry.run_id === run);
    return (LISTS[kind](state) as readonly Shown[typeof kind][])
      .filter(shown)
      .map((entry) => itemOf(kind, entry as never));
  });
  return mergedByTime(lists, (item) => item.entry.ts);
}
