import type { Client, Connection, Status, StreamOptions } from "@holdfast/client";
import { act, renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { recorderOf } from "../../src/session/proof/recorder.ts";
import { useRecording } from "../../src/session/proof/useProof.ts";
import { useLive } from "../../src/session/useLive.ts";
import { Gateway, Log } from "./log.ts";

/** A client whose stream does what the test says. */
class Scripted {
  readonly #gateway = new Gateway(Log.talk(3));
  #told: StreamOptions = {};
  readonly connection = {
    cursor: this.#gateway.log.head,
    status: { state: "connecting", attempt: 0 } as Status,
    counters: { events: 0, resumes: 0, gaps: 0, duplicates: 0, resets: 0 },
    close: () => undefined,
    cut: () => undefined,
  } as unknown as Connection;
  readonly client = {
    events: this.#gateway.events,
    state: this.#gateway.state,
    session: async () => ({ head: this.#gateway.log.head, min_seq: 1 }),
    stream: (_id: string, options: StreamOptions) => {
      this.#told = options;
      return this.connection;
    },
  } as unknown as Client;

  tell(...states: Status["state"][]): void {
    for (const state of states) this.#told.onStatus?.({ state, attempt: 0 });
  }
}

test("what the connection went through is told whole, also when one render brings it all", async () => {
  const { client, connection, tell } = bound(new Scripted());
  renderHook(() => useRecording(useLive(client, "ses_1")));
  await act(async () => undefined);

  await act(async () => tell("connecting", "catching-up", "live"));
  act(() => recorderOf(connection).cut());
  await act(async () => tell("waiting", "connecting", "catching-up", "live"));

  const [cut, opened] = recorderOf(connection).episodes;
  expect(opened?.lines.map(({ text }) => text)).toEqual(["following from seq 7", "connected", "caught up at 7"]);
  expect(cut?.lines.map(({ text }) => text)).toEqual([
    "cut at seq 7",
    "reconnecting in 0 ms",
    "asking for all after 7",
    "resumed after seq 7",
    "caught up at 7: 0 events came meanwhile, 0 missed, 0 twice",
  ]);
});

function bound(scripted: Scripted) {
  return { ...scripted, tell: scripted.tell.bind(scripted) };
}
