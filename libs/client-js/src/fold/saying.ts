/**
 * Messages and reasoning: texts that grow by deltas until the whole replaces them.
 *
 * A whole text is changed by nothing but another whole: deltas and starts that a new attempt repeats are ignored.
 */

import type { Message, Reasoning } from "./entries.js";
import { type Data, type Handlers, pick, place, type Recorded } from "./handler.js";
import type { Inside } from "./state.js";
import type { Table } from "./table.js";

/**
 * Code points of a text made of deltas: the bytes of the largest event, 256 KiB. The whole text must fit one event to
 * be completed, so more is never shown whole.
 */
export const TEXT_CHARS_MAX = 256 * 1024;

/** Code points of texts that have that many UTF-16 units, so that a delta needn't count what came before it. */
const counted = new WeakMap<object, number>();

const codePoints = (text: string): number => {
  let n = 0;
  for (const _ of text) n++;
  return n;
};

/** The entry with a delta at the end of its text, unless that has reached its bound. */
export function grow<E extends { readonly [name in K]: string }, K extends string>(
  entry: E,
  name: K,
  delta: string,
): E {
  const text = entry[name];
  const points = text.length < TEXT_CHARS_MAX ? 0 : (counted.get(entry) ?? codePoints(text));
  const fits = points < TEXT_CHARS_MAX;
  const grown = { ...entry, withdrawn: false, [name]: fits ? text + delta : text };
  if (points) counted.set(grown, fits ? points + codePoints(delta) : points);
  return grown;
}

/** A text of which nothing came yet. */
const UNSAID = { content: "", complete: false, cut: false, withdrawn: false, duration_ms: null };

function texts<E extends Message | Reasoning>(
  family: string,
  table: (inside: Inside) => Table<E>,
  fresh: (event: Recorded, data: Data) => E,
  announced: (data: Data) => Partial<E>,
): Handlers {
  const entry = (inside: Inside, event: Recorded, data: Data): E =>
    table(inside).get(data[`${family}_id`]) ?? fresh(event, data);
  return {
    [`${family}.started`]: (inside, event, data) => {
      const text = entry(inside, event, data);
      if (!text.complete) table(inside).put({ ...text, ...announced(data), withdrawn: false });
    },
    [`${family}.delta`]: (inside, event, data) => {
      const text = entry(inside, event, data);
      if (!text.complete) table(inside).put(grow(text, "content", data.text));
    },
    [`${family}.completed`]: (inside, event, data) => {
      table(inside).put({
        ...entry(inside, event, data),
        ...announced(data),
        ...UNSAID,
        ...pick(data, "content", "duration_ms"),
        complete: true,
      });
    },
  };
}

/** What a message is until it says otherwise. */
const MESSAGE = { role: "assistant", content_type: "text/plain" };

export const SAYING: Handlers = {
  ...texts<Message>(
    "message",
    (inside) => inside.messages,
    (event, data) => ({
      ...place(event),
      ...pick(data, "message_id"),
      ...pick(event, "trace_id"),
      ...MESSAGE,
      ...UNSAID,
    }),
    (data) => ({ role: data.role ?? MESSAGE.role, content_type: data.content_type ?? MESSAGE.content_type }),
  ),
  ...texts<Reasoning>(
    "reasoning",
    (inside) => inside.reasoning,
    (event, data) => ({ ...place(event), ...pick(data, "reasoning_id"), ...UNSAID }),
    () => ({}),
  ),
};
