/** A connection to a scripted gateway, anew for every test of a file that imports this. */
import { afterEach, beforeEach, expect, vi } from "vitest";
import { connect } from "../src/connection.js";
import type { Connection, ConnectOptions, Status } from "../src/types.js";
import { pass, ScriptedGateway, settle } from "./scripted.js";

export let gateway: ScriptedGateway;
export let connection: Connection;
export let seqs: number[];
export let statuses: Status[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  gateway = new ScriptedGateway();
  [seqs, statuses] = [[], []];
});

afterEach(async () => {
  connection.close();
  await settle();
  // What a connection leaves behind keeps a process alive.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

export async function follow(options: ConnectOptions = {}): Promise<void> {
  connection = connect("http://gateway/v1/sessions/s/stream?types=run.*", {
    fetch: gateway.fetch,
    onEvent: ({ seq }) => seqs.push(seq),
    onStatus: (status) => statuses.push(status),
    ...options,
  });
  await settle();
}

export const states = () => statuses.map(({ state }) => state);

/** Goes on to the next request, however long it takes to come. */
export async function reconnected(): Promise<void> {
  const before = gateway.visits.length;
  for (let i = 0; i < 200 && gateway.visits.length === before; i++) await pass(500);
  expect(gateway.visits.length).toBe(before + 1);
}
