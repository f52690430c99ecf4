import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect } from "../src/connection.js";
import type { HoldfastError } from "../src/errors.js";
import { WAITING_MAX } from "../src/outlet.js";
import type { Connection, ConnectOptions } from "../src/types.js";
import { caughtUp, control, event, events, pass, ScriptedGateway, settle } from "./scripted.js";

let gateway: ScriptedGateway;
let connection: Connection;

beforeEach(() => {
  vi.useFakeTimers();
  gateway = new ScriptedGateway();
});

afterEach(async () => {
  connection.close();
  await settle();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function follow(options: ConnectOptions = {}): Promise<void> {
  connection = connect("http://gateway/v1/sessions/s/stream", { fetch: gateway.fetch, ...options });
  await settle();
}

describe("whoever iterates", () => {
  test("gets each event in order, over a reconnection, and comes to the end with the stream", async () => {
    await follow();
    const seqs: number[] = [];
    const reading = (async () => {
      for await (const { seq } of connection) seqs.push(seq);
    })();
    const visit = await gateway.last.stream(events(1, 2));
    await visit.say(event(3));
    await visit.breakOff();
    await pass(1_000);
    await gateway.last.stream(event(4)).then((again) => again.end());
    await pass(1_000);
    await gateway.last.status(204);
    await reading;
    expect(seqs).toEqual([1, 2, 3, 4]);
  });

  test("gets the refusal thrown", async () => {
    await follow();
    await gateway.last.status(404, { type: "urn:x", title: "Gone", status: 404, code: "session-unknown" });
    const reading = (async () => {
      for await (const _ of connection);
    })();
    await expect(reading).rejects.toMatchObject({ name: "HoldfastError", code: "session-unknown" } as HoldfastError);
  });

  test("closes the connection by leaving the loop, and the cursor says where it stopped", async () => {
    await follow();
    const visit = await gateway.last.stream(events(1, 5));
    for await (const { seq } of connection) if (seq === 2) break;
    expect(connection.cursor).toBe(2);
    expect(connection.status.state).toBe("ended");
    expect(visit.signal?.aborted).toBe(true);
  });

  test("gets nothing more once the connection is closed, whatever was waiting", async () => {
    await follow();
    await gateway.last.stream(events(1, 5));
    const iterator = connection[Symbol.asyncIterator]();
    expect(await iterator.next()).toMatchObject({ value: { seq: 1 } });
    connection.close();
    expect(await iterator.next()).toMatchObject({ done: true });
    expect(connection.cursor).toBe(1);
  });

  test("slows the stream down by reading slowly, and loses nothing of it", async () => {
    await follow();
    let fetched = 0;
    const visit = gateway.last;
    // Chunks of 100 events, for as long as they are asked for.
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          controller.enqueue(new TextEncoder().encode(events(fetched + 1, fetched + 100)));
          fetched += 100;
        },
      },
      { highWaterMark: 0 },
    );
    visit.answer(new Response(body, { headers: { "content-type": "text/event-stream" } }));
    await settle();
    expect(fetched).toBeGreaterThanOrEqual(WAITING_MAX);
    expect(fetched).toBeLessThanOrEqual(WAITING_MAX + 100);
    // However long: a reader that takes its time is no silent gateway.
    await pass(600_000);
    expect(connection.status.state).toBe("catching-up");
    expect(gateway.visits).toHaveLength(1);
    let last = 0;
    for await (const { seq } of connection) {
      expect(seq).toBe(last + 1);
      last = seq;
      if (seq === 5_000) break;
    }
    expect(connection.counters).toMatchObject({ events: 5_000, gaps: 0, resumes: 0 });
    expect(fetched).toBeLessThanOrEqual(5_000 + WAITING_MAX + 200);
  });

  test("is told of states in their order: live is when everything before has been read", async () => {
    const told: (string | number)[] = [];
    await follow({ onStatus: ({ state }) => told.push(state) });
    await gateway.last.stream(events(1, 2) + caughtUp(2));
    expect(told).toEqual(["connecting", "catching-up"]);
    const reading = (async () => {
      for await (const { seq } of connection) told.push(seq);
    })();
    await settle();
    expect(told).toEqual(["connecting", "catching-up", 1, 2, "live"]);
    connection.close();
    await reading;
  });

  test("waits behind a reset until the state is loaded", async () => {
    let loaded = () => {};
    await follow({ onReset: () => new Promise<void>((resolve) => (loaded = resolve)) });
    await gateway.last.stream(control("reset", { reason: "retention" }, 9) + event(10));
    const iterator = connection[Symbol.asyncIterator]();
    const next = iterator.next();
    let came = false;
    next.then(() => {
      came = true;
    });
    await settle();
    expect(came).toBe(false);
    loaded();
    expect(await next).toMatchObject({ value: { seq: 10 } });
  });
});

describe("events per animation frame", () => {
  /** A screen that draws when it is told to. */
  function screen() {
    const frames = new Map<number, () => void>();
    let asked = 0;
    vi.stubGlobal("requestAnimationFrame", (run: () => void) => {
      frames.set(++asked, run);
      return asked;
    });
    vi.stubGlobal("cancelAnimationFrame", (id: number) => frames.delete(id));
    return () => {
      const now = [...frames.values()];
      frames.clear();
      for (const run of now) run();
    };
  }

  test("come as one batch for all that happened since the last", async () => {
    const draw = screen();
    const batches: number[][] = [];
    await follow({ coalesce: "frame", onEvents: (batch) => batches.push(batch.map(({ seq }) => seq)) });
    draw();
    const visit = await gateway.last.stream(events(1, 2));
    await visit.say(event(3));
    await visit.say(event(4));
    expect(batches).toEqual([]);
    draw();
    await settle();
    expect(batches.flat()).toEqual([1, 2, 3, 4]);
    expect(batches).toHaveLength(1);
    await visit.say(event(5));
    draw();
    expect(batches.flat()).toEqual([1, 2, 3, 4, 5]);
  });

  test("come without frames, too, when the page is hidden and draws none", async () => {
    screen();
    const seqs: number[] = [];
    await follow({ coalesce: "frame", onEvent: ({ seq }) => seqs.push(seq) });
    await gateway.last.stream(events(1, 3));
    expect(seqs).toEqual([]);
    await pass(250);
    expect(seqs).toEqual([1, 2, 3]);
  });

  test("don't come any more once the connection is closed", async () => {
    const draw = screen();
    const seqs: number[] = [];
    await follow({ coalesce: "frame", onEvent: ({ seq }) => seqs.push(seq) });
    await gateway.last.stream(events(1, 3));
    connection.close();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
    draw();
    await pass(1_000);
    expect(seqs).toEqual([]);
    expect(connection.cursor).toBe(0);
  });

  test("fetch no more than a bound while no frame comes", async () => {
    const draw = screen();
    const seqs: number[] = [];
    await follow({ coalesce: "frame", onEvent: ({ seq }) => seqs.push(seq) });
    await gateway.last.stream(events(1, WAITING_MAX));
    await gateway.last.say(event(WAITING_MAX + 1));
    // Still in the stream: nobody has asked for it.
    expect(gateway.last.controller.desiredSize).toBeLessThan(0);
    draw();
    await settle();
    draw();
    await settle();
    expect(seqs).toHaveLength(WAITING_MAX + 1);
  });
});

describe("a kept cursor", () => {
  const storageOf = (map: Map<string, string>) => ({
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
  });

  test("is where the next page goes on", async () => {
    const map = new Map<string, string>();
    const store = { storage: storageOf(map), key: "s" };
    await follow({ store, onEvent: () => {} });
    await gateway.last.stream(events(1, 7));
    expect(map.get("s")).toBe("7");
    connection.close();
    await follow({ store, onEvent: () => {} });
    expect(gateway.last.url.searchParams.get("after")).toBe("7");
  });

  test("loses against a later one that the page knows", async () => {
    const store = { storage: storageOf(new Map([["s", "7"]])), key: "s" };
    await follow({ store, after: 12, onEvent: () => {} });
    expect(gateway.last.url.searchParams.get("after")).toBe("12");
  });

  test("waits for an event to be dealt with by the one who iterates", async () => {
    const map = new Map<string, string>();
    await follow({ store: { storage: storageOf(map), key: "s" } });
    await gateway.last.stream(events(1, 2));
    const iterator = connection[Symbol.asyncIterator]();
    await iterator.next();
    expect(map.has("s")).toBe(false);
    await iterator.next();
    expect(map.get("s")).toBe("1");
  });

  test.each(["break", "throw"])("counts an event as not dealt with that the loop is left on by a %s", async (how) => {
    const map = new Map<string, string>();
    await follow({ store: { storage: storageOf(map), key: "s" } });
    await gateway.last.stream(events(1, 3));
    const reading = (async () => {
      for await (const { seq } of connection) {
        if (seq === 1) continue;
        if (how === "break") break;
        throw new Error("mine");
      }
    })();
    if (how === "break") await reading;
    else await expect(reading).rejects.toThrow("mine");
    expect(map.get("s")).toBe("1");
  });

  test("counts as dealt with once the loop has come to its end", async () => {
    const map = new Map<string, string>();
    await follow({ store: { storage: storageOf(map), key: "s" }, endsWith: ({ seq }) => seq === 2 });
    await gateway.last.stream(events(1, 2));
    for await (const _ of connection);
    expect(map.get("s")).toBe("2");
  });

  test.each(["Infinity", "-3", "1.5", "7e2", "seven"])("is not %s, whoever wrote that there", async (kept) => {
    await follow({ store: { storage: storageOf(new Map([["s", kept]])), key: "s" }, onEvent: () => {} });
    expect(gateway.last.url.searchParams.get("after")).toBeNull();
    expect(connection.cursor).toBe(0);
  });

  test("is done without where storage is full or forbidden", async () => {
    const refuse = () => {
      throw new DOMException("no", "SecurityError");
    };
    const seqs: number[] = [];
    await follow({
      store: { storage: { getItem: refuse, setItem: refuse }, key: "s" },
      onEvent: ({ seq }) => seqs.push(seq),
    });
    const visit = await gateway.last.stream(events(1, 2));
    await visit.say(event(3));
    expect(seqs).toEqual([1, 2, 3]);
    expect(connection.status.state).toBe("catching-up");
  });
});
