import { describe, expect, test, vi } from "vitest";
import { BACKOFF } from "../src/backoff.js";
import { HANDSHAKE_MS, STALL_MS } from "../src/connection.js";
import { connection, follow, gateway, reconnected, states } from "./following.js";
import { control, event, pass, settle } from "./scripted.js";

describe("a connection", () => {
  test.each([400, 401, 403, 404, 410])("fails for good with a %i, and tells the gateway's words", async (status) => {
    await follow();
    const problem = { type: "urn:x", title: "No", status, code: "no", detail: "not this one", request_id: "r1" };
    await gateway.last.status(status, problem, { "content-type": "application/problem+json" });
    const { state, error } = await connection.ended;
    expect(state).toBe("failed");
    expect(error).toMatchObject({ status, code: "no", title: "No", message: "not this one", requestId: "r1" });
    await pass(600_000);
    expect(gateway.visits).toHaveLength(1);
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("tries again after a %i, which passes", async (status) => {
    await follow();
    await gateway.last.status(status, "<h1>try later</h1>");
    expect(connection.status).toMatchObject({ state: "waiting", error: { status, code: `http-${status}` } });
    await reconnected();
  });

  test("takes a page of a proxy for an outage, whatever its status says", async () => {
    await follow();
    await gateway.last.status(200, "<h1>please log in to the wifi</h1>", { "content-type": "text/html" });
    expect(states()).toEqual(["connecting", "waiting"]);
    await reconnected();
  });

  test("knows a stream by its type, however a proxy writes it", async () => {
    await follow();
    await gateway.last.stream(event(1), { "content-type": "Text/Event-Stream;charset=UTF-8" });
    expect(states()).toEqual(["connecting", "catching-up"]);
  });

  test("waits longer with every failure, up to its bound, and starts over once events came", async () => {
    await follow();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      gateway.last.fail(new TypeError("refused"));
      await settle();
      waits.push(connection.status.retryInMs ?? -1);
      expect(connection.status.attempt).toBe(i + 1);
      await reconnected();
    }
    expect(waits).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
    const visit = await gateway.last.stream(event(1));
    await visit.breakOff();
    expect(connection.status).toMatchObject({ attempt: 1, retryInMs: 200 });
  });

  test("does not take a stream that brought nothing for a success", async () => {
    await follow();
    for (const attempt of [1, 2, 3]) {
      const visit = await gateway.last.stream(": hb\n");
      await visit.end();
      expect(connection.status.attempt).toBe(attempt);
      await reconnected();
    }
  });

  test("takes a quiet stream that lasted for a success", async () => {
    await follow();
    gateway.last.fail(new TypeError("refused"));
    await reconnected();
    const visit = await gateway.last.stream(": hb\n");
    await pass(BACKOFF.mostMs);
    await visit.end();
    expect(connection.status.attempt).toBe(1);
  });

  test("never comes back earlier than the gateway asked, by retry or by Retry-After", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    await follow();
    const visit = await gateway.last.stream(`retry: 4000\n\n${event(1)}${control("drain")}`);
    await visit.end();
    expect(connection.status.retryInMs).toBe(4000);
    await reconnected();
    await gateway.last.status(503, "", { "retry-after": "7" });
    expect(connection.status.retryInMs).toBe(7000);
  });

  test("comes back soon after a cut on purpose, whatever the gateway asked for, and only that once", async () => {
    await follow();
    await gateway.last.stream(`retry: 4000\n\n${event(1)}`);
    connection.cut();
    await settle();
    expect(connection.status).toMatchObject({ reason: "cut on purpose", retryInMs: 250 });
    await reconnected();
    const visit = await gateway.last.stream(event(2));
    await visit.breakOff();
    expect(connection.status.retryInMs).toBe(4200);
  });

  test("spreads the returns from a cut, and leaves enough time for it to be seen", async () => {
    for (const [random, wait] of [
      [0, 100],
      [1, 400],
    ] as const) {
      vi.spyOn(Math, "random").mockReturnValue(random);
      await follow();
      await gateway.last.stream(event(1));
      connection.cut();
      await settle();
      expect(connection.status.retryInMs).toBe(wait);
      connection.close();
    }
  });

  test("is not kept away for hours by a gateway's mistake", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    await follow();
    const visit = await gateway.last.stream("retry: 99999999\n\n");
    await visit.end();
    expect(connection.status.retryInMs).toBe(60_000);
  });

  test("spreads its returns over the whole wait", async () => {
    await follow();
    vi.spyOn(Math, "random").mockReturnValue(0.01);
    gateway.last.fail(new TypeError("refused"));
    await settle();
    expect(connection.status.retryInMs).toBe(4);
  });

  test("gives up a request that nobody answers", async () => {
    await follow();
    await pass(HANDSHAKE_MS - 1);
    expect(states()).toEqual(["connecting"]);
    await pass(1);
    expect(connection.status).toMatchObject({ state: "waiting", reason: "no answer in time" });
    expect(gateway.last.signal?.aborted).toBe(true);
    await reconnected();
  });

  test("gives up a stream without heartbeats, and keeps one with them", async () => {
    await follow();
    const visit = await gateway.last.stream(event(1));
    for (let i = 0; i < 10; i++) {
      await pass(STALL_MS - 1);
      await visit.say(": hb\n\n");
    }
    expect(connection.status.state).toBe("catching-up");
    await pass(STALL_MS);
    expect(connection.status).toMatchObject({ state: "waiting", reason: "silence, not even a heartbeat" });
    await reconnected();
    expect(gateway.last.headers.get("last-event-id")).toBe("1");
  });

  test("waits for ever if it is told to", async () => {
    await follow({ stallTimeoutMs: Number.POSITIVE_INFINITY });
    await gateway.last.stream(event(1));
    await pass(600_000);
    expect(connection.status.state).toBe("catching-up");
  });

  test("gives up a body that hangs behind a refusal", async () => {
    await follow();
    const body = new ReadableStream({ start: () => {} });
    gateway.last.answer(new Response(body, { status: 500 }));
    await pass(HANDSHAKE_MS);
    expect(connection.status.state).toBe("waiting");
  });

  test("gets a fetch out of the way that knows nothing of signals", async () => {
    let cancelled = false;
    const body = new ReadableStream({
      cancel: () => {
        cancelled = true;
      },
    });
    const answer = new Response(body, { headers: { "content-type": "text/event-stream" } });
    await follow({ fetch: async () => answer });
    await pass(STALL_MS);
    expect(connection.status.state).toBe("waiting");
    expect(cancelled).toBe(true);
  });
});
