/**
 * What the frames of a stream mean to a reader with a cursor. Pure: no clock, no socket.
 *
 * The rule that makes a gap visible: an event's id is one above the last id; only an id alone (all up to here is
 * accounted for) and a `reset` may jump. Whatever breaks it is not handed out: the reader asks again from its cursor.
 */

import type { HoldfastEvent } from "./events.js";
import type { Frame } from "./sse.js";
import type { Counters, Reset } from "./types.js";

/** What a frame brings. A cursor that merely moved is a `move`, so that it is handed out in its order, too. */
export type Taken =
  | { readonly kind: "event"; readonly event: HoldfastEvent }
  | { readonly kind: "reset"; readonly reset: Reset }
  | { readonly kind: "move"; readonly seq: number }
  | {
      readonly kind: "control";
      readonly name: string;
      readonly data: Record<string, unknown>;
    };

/** The stream can't be trusted beyond the cursor. */
export class StreamBroken extends Error {}

/** A cursor that moves with the frames it is shown. */
export class Position {
  cursor: number;
  readonly #counters: Counters;

  constructor(after: number, counters: Counters) {
    this.cursor = after;
    this.#counters = counters;
  }

  /** Moves along with `frame`. Throws StreamBroken, with the cursor where it was. */
  take(frame: Frame): Taken | undefined {
    const seq = frame.id === undefined ? undefined : seqOf(frame.id);
    const { event: name, data } = frame;
    if (name === "reset") return this.#reset(seq, data);
    if ((name && name !== "message") || data === undefined) {
      // Controls of ours carry no id; one that we don't know may, and then means what it means to a browser.
      if (seq !== undefined && seq > this.cursor) {
        this.cursor = seq;
        return { kind: "move", seq };
      }
      return name ? { kind: "control", name, data: objectOf(data) } : undefined;
    }
    if (seq === undefined) throw new StreamBroken("an event without an id");
    if (seq <= this.cursor) {
      this.#counters.duplicates++;
      return undefined;
    }
    if (seq !== this.cursor + 1) {
      this.#counters.gaps++;
      throw new StreamBroken(`event ${seq} came after ${this.cursor}`);
    }
    const event = objectOf(data);
    if (event.seq !== seq || typeof event.type !== "string") throw new StreamBroken(`frame ${seq} holds no such event`);
    this.cursor = seq;
    return { kind: "event", event: event as unknown as HoldfastEvent };
  }

  #reset(seq: number | undefined, data: string | undefined): Taken {
    if (seq === undefined) throw new StreamBroken("a reset without a position");
    const details = objectOf(data);
    this.cursor = seq;
    this.#counters.resets++;
    return {
      kind: "reset",
      reset: { seq, reason: String(details.reason ?? "unknown"), details },
    };
  }
}

/** The seq of a cursor; it may carry a suffix, which is for the gateway. Undefined when it is no cursor. */
export function cursorIn(text: string | null): number | undefined {
  return text !== null && /^\d{1,16}(-[0-9a-f]{1,16})?$/.test(text) ? Number.parseInt(text, 10) : undefined;
}

function seqOf(id: string): number {
  const seq = cursorIn(id);
  if (seq === undefined) throw new StreamBroken(`'${id}' is no cursor`);
  return seq;
}

function objectOf(text = "{}"): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // said below
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new StreamBroken("no JSON object");
  return value as Record<string, unknown>;
}
