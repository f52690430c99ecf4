import { describe, expect, test, vi } from "vitest";
import { connect } from "../src/connection.js";
import type { Connection, Reset } from "../src/types.js";
import { connection, follow, gateway, reconnected, seqs, states } from "./following.js";
import { caughtUp, control, event, events, pass, settle } from "./scripted.js";

describe("a connection", () => {
  test("asks for the stream after its cursor and hands out each event, in order", async () => {
    await follow({ after: 3, headers: () => ({ authorization: "Bearer t" }) });
    const { url, headers } = gateway.last;
    expect(url.pathname + url.search).toBe("/v1/sessions/s/stream?types=run.*&after=3");
    expect(headers.get("accept")).toBe("text/event-stream");
    expect(headers.get("authorization")).toBe("Bearer t");
    expect(headers.has("last-event-id")).toBe(false);
    const visit = await gateway.last.stream(events(4, 6));
    await visit.say(event(7));
    expect(seqs).toEqual([4, 5, 6, 7]);
    expect(connection.cursor).toBe(7);
    expect(connection.counters).toEqual({ events: 4, resumes: 0, gaps: 0, duplicates: 0, resets: 0 });
  });

  test("says where it stands, from connecting to live", async () => {
    const heads: number[] = [];
    await follow({ onCaughtUp: (head) => heads.push(head) });
    expect(states()).toEqual(["connecting"]);
    const visit = await gateway.last.stream(events(1, 2));
    expect(connection.status.state).toBe("catching-up");
    await visit.say(caughtUp(2));
    expect(states()).toEqual(["connecting", "catching-up", "live"]);
    expect(heads).toEqual([2]);
  });

  test("says since when a run has no worker, and when it has one again", async () => {
    await follow();
    const visit = await gateway.last.stream(caughtUp(0));
    await visit.say(control("stalled", { since: "2026-01-01T00:00:00Z" }));
    expect(connection.status).toEqual({ state: "stalled", attempt: 0, since: "2026-01-01T00:00:00Z" });
    await visit.say(event(1) + control("live"));
    expect(connection.status.state).toBe("live");
  });

  test("resumes after its last event when the network breaks, without loss or repetition", async () => {
    await follow();
    const visit = await gateway.last.stream(events(1, 3));
    await visit.breakOff();
    expect(connection.status).toMatchObject({ state: "waiting", attempt: 1, reason: "network error" });
    await reconnected();
    expect(gateway.last.headers.get("last-event-id")).toBe("3");
    expect(gateway.last.url.searchParams.get("after")).toBe("3");
    await gateway.last.stream(events(4, 5));
    expect(seqs).toEqual([1, 2, 3, 4, 5]);
    expect(connection.counters.resumes).toBe(1);
  });

  test("resumes behind an id that came alone", async () => {
    await follow();
    const visit = await gateway.last.stream(`${event(1)}id: 40\n\n`);
    expect(connection.cursor).toBe(40);
    await visit.end();
    await reconnected();
    expect(gateway.last.headers.get("last-event-id")).toBe("40");
  });

  test("drops events that it had before, and counts them", async () => {
    await follow({ after: 2 });
    await gateway.last.stream(events(1, 4));
    expect(seqs).toEqual([3, 4]);
    expect(connection.counters.duplicates).toBe(2);
  });

  test("asks again from its cursor when an event is missing", async () => {
    await follow();
    const visit = await gateway.last.stream(event(1) + event(3));
    expect(seqs).toEqual([1]);
    expect(connection.counters.gaps).toBe(1);
    expect(visit.signal?.aborted).toBe(true);
    await reconnected();
    await gateway.last.stream(events(2, 3));
    expect(seqs).toEqual([1, 2, 3]);
  });

  test("asks again when what comes makes no sense", async () => {
    await follow();
    await gateway.last.stream(`${event(1)}id: 2\ndata: <html>\n\n`);
    expect(connection.status.state).toBe("waiting");
    expect(connection.counters.gaps).toBe(0);
    await reconnected();
  });

  test("ends with the gateway's 204, and asks no more", async () => {
    await follow();
    await gateway.last.status(204);
    expect(await connection.ended).toEqual({ state: "ended", attempt: 0, reason: "complete" });
    await pass(600_000);
    expect(gateway.visits).toHaveLength(1);
  });

  test("ends with the last event that is wanted", async () => {
    await follow({ endsWith: ({ type }) => type === "run.completed" });
    const visit = await gateway.last.stream(event(1) + event(2, "run.completed") + event(3));
    expect((await connection.ended).state).toBe("ended");
    expect(seqs).toEqual([1, 2]);
    expect(visit.signal?.aborted).toBe(true);
  });

  test("resumes by itself when it is cut on purpose", async () => {
    await follow();
    await gateway.last.stream(events(1, 2));
    connection.cut();
    await settle();
    expect(connection.status).toMatchObject({ state: "waiting", reason: "cut on purpose" });
    await reconnected();
    await gateway.last.stream(event(3));
    expect(seqs).toEqual([1, 2, 3]);
    expect(connection.counters).toMatchObject({ resumes: 1, gaps: 0, duplicates: 0 });
  });

  test("goes on behind a reset once its state is loaded, and hands out nothing before", async () => {
    const resets: Reset[] = [];
    let loaded = () => {};
    await follow({
      onReset: (reset) => {
        resets.push(reset);
        return new Promise<void>((resolve) => {
          loaded = resolve;
        });
      },
    });
    const visit = await gateway.last.stream(event(1) + control("reset", { reason: "retention" }, 90) + event(91));
    await visit.say(event(92));
    expect(resets).toEqual([{ seq: 90, reason: "retention", details: { reason: "retention" } }]);
    expect(seqs).toEqual([1]);
    expect(connection.cursor).toBe(90);
    loaded();
    await settle();
    expect(seqs).toEqual([1, 91, 92]);
    expect(connection.counters.resets).toBe(1);
  });

  test("goes back behind a reset to a cursor that never was", async () => {
    await follow({ after: 500 });
    await gateway.last.stream(control("reset", { reason: "ahead" }, 12) + event(13));
    expect(seqs).toEqual([13]);
    expect(connection.cursor).toBe(13);
  });

  test("closes at once: nothing is handed out afterwards, nothing is asked for", async () => {
    await follow({
      onEvent: ({ seq }) => {
        seqs.push(seq);
        if (seq === 2) connection.close();
      },
    });
    const visit = await gateway.last.stream(events(1, 5));
    expect(seqs).toEqual([1, 2]);
    expect(connection.cursor).toBe(2);
    expect(await connection.ended).toEqual({ state: "ended", attempt: 0, reason: "closed" });
    expect(visit.signal?.aborted).toBe(true);
    await pass(600_000);
    expect(gateway.visits).toHaveLength(1);
  });

  test.each(["connecting", "catching-up", "waiting"] as const)(
    "leaves nothing behind when it is closed on hearing that it is %s",
    async (state) => {
      await follow({ onStatus: (status) => status.state === state && connection.close() });
      if (state === "waiting") gateway.last.fail(new TypeError("refused"));
      else if (state === "catching-up") await gateway.last.stream(event(1));
      await settle();
      expect((await connection.ended).reason).toBe("closed");
      expect(vi.getTimerCount()).toBe(0);
      await pass(600_000);
      expect(gateway.visits.filter(({ signal }) => !signal?.aborted)).toEqual([]);
      expect(gateway.visits).toHaveLength(state === "connecting" ? 0 : 1);
    },
  );

  test("reads a cursor with a suffix out of its address", async () => {
    await follow();
    const mine = connect("http://gateway/stream?after=7-beef", {
      fetch: gateway.fetch,
      onEvent: ({ seq }) => seqs.push(seq),
    });
    await settle();
    await gateway.last.stream(event(8));
    expect(seqs).toEqual([8]);
    expect(mine.counters.gaps).toBe(0);
    mine.close();
  });

  test.each(["before it began", "while it waits", "during its handshake", "in a stream"])(
    "ends with its signal, %s",
    async (when) => {
      const abort = new AbortController();
      if (when === "before it began") abort.abort();
      await follow({ signal: abort.signal });
      if (when === "while it waits") gateway.last.fail(new TypeError("refused"));
      if (when === "in a stream") await gateway.last.stream(event(1));
      await settle();
      abort.abort();
      expect((await connection.ended).state).toBe("ended");
      await pass(600_000);
      expect(gateway.visits).toHaveLength(when === "before it began" ? 0 : 1);
    },
  );

  test("survives a callback that throws, and reports what it threw", async () => {
    const reported: unknown[] = [];
    const listener = (error: unknown) => reported.push(error);
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", listener);
    try {
      await follow({
        onEvent: ({ seq }) => {
          seqs.push(seq);
          if (seq === 1) throw new Error("mine");
        },
      });
      await gateway.last.stream(events(1, 3));
      await vi.waitFor(() => expect(reported).toHaveLength(1));
    } finally {
      process.removeListener("uncaughtException", listener);
      for (const other of others) process.on("uncaughtException", other);
    }
    expect(seqs).toEqual([1, 2, 3]);
    expect(reported).toEqual([new Error("mine")]);
  });

  test("calls nobody back before its caller holds it", async () => {
    await follow();
    const held: Connection[] = [];
    const mine: Connection = connect("http://gateway/", { fetch: gateway.fetch, onStatus: () => held.push(mine) });
    expect(held).toEqual([]);
    await settle();
    expect(held).toEqual([mine]);
    mine.close();
  });

  test("refuses an address that is none, where it is named", () => {
    expect(() => connect("nowhere", { fetch: gateway.fetch })).toThrow(TypeError);
  });
});
