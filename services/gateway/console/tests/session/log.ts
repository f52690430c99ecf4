/** A small log for tests, and a gateway that serves it. */

import type { Client, EventPage, HoldfastEvent, StateView } from "@holdfast/client";
import { fold, toPlain } from "@holdfast/client/fold";

const BEGIN = Date.parse("2026-11-21T09:00:00.000Z");

type Given = Partial<Omit<HoldfastEvent, "type" | "data">> & { readonly at?: number; readonly data?: unknown };

/** Writes events, one seq after the other; `at` is in milliseconds from nine o'clock. */
export class Log {
  readonly events: HoldfastEvent[] = [];

  add(type: string, { at, data = {}, ...envelope }: Given = {}): this {
    const seq = this.events.length + 1;
    const ts = new Date(BEGIN + (at ?? seq * 100)).toISOString();
    const event = { v: 1, seq, type, session_id: "ses_1", run_id: "run_1", attempt: 1, ts, ...envelope, data };
    this.events.push(event as unknown as HoldfastEvent);
    return this;
  }

  /** A run with a message of so many pieces: seqs 1 to 4 + pieces. */
  static talk(pieces: number): Log {
    const log = new Log();
    log.add("session.created", { run_id: undefined });
    log.add("run.started", { data: { workflow: "talk", workflow_version: "1" } });
    log.add("message.started", { data: { message_id: "m", role: "assistant" } });
    for (let piece = 1; piece <= pieces; piece++) {
      log.add("message.delta", { data: { message_id: "m", text: `${piece} ` } });
    }
    return log.add("run.completed", { data: { duration_ms: 1 } });
  }

  get head(): number {
    return this.events.length;
  }

  markers(): HoldfastEvent[] {
    return this.events.filter(({ type }) => !type.endsWith(".delta"));
  }

  at(ms: number): number {
    return BEGIN + ms;
  }
}

/** Serves a log as the gateway does, and counts what was asked. */
export class Gateway implements Pick<Client, "events" | "state"> {
  readonly asked: string[] = [];
  failing: Error | null = null;

  constructor(
    readonly log: Log,
    /** The first seq that is still kept. */
    readonly minSeq = 1,
  ) {}

  readonly events: Client["events"] = async (_session, { after = 0, limit = 100, types } = {}) => {
    this.asked.push(`events after ${after}${types ? ` of ${types.length} types` : ""}`);
    await Promise.resolve();
    if (this.failing) throw this.failing;
    if (after > 0 && after < this.minSeq - 1) throw new Error(`events up to ${this.minSeq - 1} are no longer kept`);
    const wanted = (type: string) =>
      !types || types.some((one) => (one.endsWith(".*") ? type.startsWith(one.slice(0, -1)) : type === one));
    const items = this.log.events
      .filter(({ seq, type }) => seq > after && seq >= this.minSeq && wanted(type))
      .slice(0, limit);
    const head = this.log.head;
    const next_after = items.length === limit ? (items.at(-1)?.seq ?? head) : head;
    return { items, next_after, head, min_seq: this.minSeq } satisfies EventPage;
  };

  readonly state: Client["state"] = async (_session, { at = this.log.head } = {}) => {
    this.asked.push(`state at ${at}`);
    await Promise.resolve();
    if (this.failing) throw this.failing;
    const state = fold(this.log.events.filter(({ seq }) => seq >= this.minSeq && seq <= at));
    return JSON.parse(JSON.stringify({ ...toPlain(state), min_seq: this.minSeq })) as StateView;
  };
}
