import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect, STALL_MS } from "../src/connection.js";
import type { Connection } from "../src/types.js";
import { caughtUp, event, pass, ScriptedGateway, settle } from "./scripted.js";

let gateway: ScriptedGateway;
let connection: Connection;
let page: EventTarget & { visibilityState: string };
let network: EventTarget;
let listeners: number;

/** A target that counts who listens. */
class Counted extends EventTarget {
  override addEventListener(...listener: Parameters<EventTarget["addEventListener"]>): void {
    listeners++;
    super.addEventListener(...listener);
  }

  override removeEventListener(...listener: Parameters<EventTarget["removeEventListener"]>): void {
    listeners--;
    super.removeEventListener(...listener);
  }
}

beforeEach(async () => {
  vi.useFakeTimers();
  page = Object.assign(new Counted(), { visibilityState: "visible" });
  listeners = 0;
  network = new Counted();
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  vi.stubGlobal("removeEventListener", network.removeEventListener.bind(network));
  gateway = new ScriptedGateway();
  connection = connect("http://gateway/v1/sessions/s/stream", { fetch: gateway.fetch, onEvent: () => {} });
  await settle();
});

afterEach(async () => {
  connection.close();
  await settle();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const signs: [string, () => void][] = [
  ["the network is back", () => network.dispatchEvent(new Event("online"))],
  ["its page is looked at again", () => page.dispatchEvent(new Event("visibilitychange"))],
  [
    "its page comes out of the browser's cache",
    () => network.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true })),
  ],
];

/** The clock goes on while every timer sleeps, as on a closed laptop. */
async function sleep(ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
}

describe.each(signs)("a connection, when %s,", (_, give) => {
  test("stops waiting and asks at once", async () => {
    gateway.last.fail(new TypeError("offline"));
    await settle();
    expect(connection.status.state).toBe("waiting");
    give();
    await settle();
    expect(gateway.visits).toHaveLength(2);
  });

  test("gives up a stream that has been too quiet, and asks at once where it was", async () => {
    await gateway.last.stream(event(1) + caughtUp(1));
    await sleep(STALL_MS);
    give();
    await pass(0);
    expect(gateway.visits).toHaveLength(2);
    expect(gateway.last.headers.get("last-event-id")).toBe("1");
  });

  test("keeps a stream that was heard of lately", async () => {
    const visit = await gateway.last.stream(event(1));
    await sleep(STALL_MS / 2);
    give();
    await pass(0);
    expect(gateway.visits).toHaveLength(1);
    await visit.say(event(2));
    expect(connection.cursor).toBe(2);
  });

  test("does nothing once it is closed, and has left nobody listening", async () => {
    expect(listeners).toBe(3);
    connection.close();
    await settle();
    give();
    await pass(600_000);
    expect(gateway.visits).toHaveLength(1);
    expect(listeners).toBe(0);
  });
});

describe("a connection", () => {
  test("stays as it is when its page is hidden", async () => {
    await gateway.last.stream(event(1));
    await sleep(STALL_MS);
    page.visibilityState = "hidden";
    page.dispatchEvent(new Event("visibilitychange"));
    await settle();
    expect(gateway.visits).toHaveLength(1);
  });

  test("stays as it is when a page is shown for the first time", async () => {
    await gateway.last.stream(event(1));
    await sleep(STALL_MS);
    network.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
    await settle();
    expect(gateway.visits).toHaveLength(1);
  });
});
