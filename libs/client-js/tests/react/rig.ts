/** A gateway on a script, the client that talks to it, and what it has open. */
import { act } from "@testing-library/react";
import { vi } from "vitest";
import { createClient } from "../../src/client.js";
import { fold, type Recorded, type State, toPlain } from "../../src/fold/index.js";
import type { Client } from "../../src/types.js";
import { ScriptedGateway, settle, type Visit } from "../scripted.js";

export class Rig {
  readonly gateway = new ScriptedGateway();
  readonly client: Client = createClient({ baseUrl: "http://gateway", fetch: this.gateway.fetch });

  /** Requests whose path ends like this, oldest first. */
  asked(end: string): Visit[] {
    return this.gateway.visits.filter(({ url }) => url.pathname.endsWith(end));
  }

  latest(end: string): Visit {
    const visit = this.asked(end).at(-1);
    if (!visit) throw new Error(`nobody asked for ${end}: ${this.gateway.visits.map(({ url }) => url.href)}`);
    return visit;
  }

  /** Requests for streams that were not given up. */
  get live(): Visit[] {
    return this.asked("/stream").filter((visit) => !visit.signal?.aborted);
  }

  /** Answers the latest request for the state, and opens the stream that follows. */
  async begin(state: State, text = ""): Promise<Visit> {
    await during(async () => this.latest("/state").status(200, { ...state, min_seq: 1 }));
    await during(async () => {
      await this.latest("/stream").stream(text);
      await frame();
    });
    return this.latest("/stream");
  }
}

/** Lets something happen as React's tests want it. */
export const during = async (run: () => Promise<unknown>): Promise<void> => {
  await act(async () => {
    await run();
    await settle();
  });
};

/** Lets an animation frame pass. */
export async function frame(): Promise<void> {
  await vi.advanceTimersByTimeAsync(17);
}

/** An event of run `r` in session `s`. */
export const happened = (seq: number, type: string, data: object = {}, where: object = { run_id: "r" }): Recorded =>
  ({ v: 1, seq, type, session_id: "s", ts: "2026-11-21T09:00:00.000Z", ...where, data }) as Recorded;

export const said = (seq: number, text: string, id = "m"): Recorded =>
  happened(seq, "message.delta", { message_id: id, text });

/** The frames of events. */
export const frames = (...events: Recorded[]): string =>
  events.map((event) => `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`).join("");

export const stateOf = (...events: Recorded[]): State => toPlain(fold(events));

export const started = happened(1, "run.started", { workflow: "w", workflow_version: "1" });
