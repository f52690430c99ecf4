import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import type { Accepted, StateView } from "../src/answers.js";
import { createClient } from "../src/client.js";
import type { fromPlain } from "../src/fold/index.js";
import type { Client } from "../src/types.js";
import { event, pass, ScriptedGateway, settle } from "./scripted.js";

let gateway: ScriptedGateway;
let client: Client;

beforeEach(() => {
  vi.useFakeTimers();
  gateway = new ScriptedGateway();
  client = createClient({ baseUrl: "http://gateway/", fetch: gateway.fetch, headers: { authorization: "Bearer t" } });
});

afterEach(() => {
  vi.useRealTimers();
});

const problem = (status: number, code: string) => ({ type: `urn:${code}`, title: code, status, code });

describe("a call", () => {
  test.each<[string, (client: Client) => Promise<unknown>, string, unknown]>([
    [
      "sessions",
      (c) => c.sessions({ status: "active", limit: 5 }),
      "GET /v1/sessions?status=active&limit=5",
      undefined,
    ],
    ["session", (c) => c.session("s 1"), "GET /v1/sessions/s%201", undefined],
    ["createSession", (c) => c.createSession({ ttl_s: 60 }), "POST /v1/sessions", { ttl_s: 60 }],
    ["eraseSession", (c) => c.eraseSession("s", "asked for"), "DELETE /v1/sessions/s?reason=asked+for", undefined],
    [
      "startRun in a session",
      (c) => c.startRun({ session_id: "s", workflow: "team", input: { a: 1 }, on_busy: "reject" }),
      "POST /v1/sessions/s/runs",
      { workflow: "team", input: { a: 1 }, on_busy: "reject" },
    ],
    ["startRun", (c) => c.startRun({ workflow: "team" }), "POST /v1/runs", { workflow: "team" }],
    ["run", (c) => c.run("r"), "GET /v1/runs/r", undefined],
    ["cancel", (c) => c.cancel("r", "enough"), "POST /v1/runs/r/cancel", { reason: "enough" }],
    ["cancel without a reason", (c) => c.cancel("r"), "POST /v1/runs/r/cancel", {}],
    ["respond", (c) => c.respond("r", "i", false), "POST /v1/runs/r/input", { input_id: "i", value: false }],
    ["steer", (c) => c.steer("r", "left"), "POST /v1/runs/r/input", { value: "left" }],
    [
      "events",
      (c) => c.events("s", { after: 0, limit: 9, types: ["run.*", "step.*"] }),
      "GET /v1/sessions/s/events?after=0&limit=9&types=run.*%2Cstep.*",
      undefined,
    ],
    ["state", (c) => c.state("s", { at: 7 }), "GET /v1/sessions/s/state?at=7", undefined],
    ["messages", (c) => c.messages("s"), "GET /v1/sessions/s/messages", undefined],
    ["workflows", (c) => c.workflows(), "GET /v1/workflows", undefined],
  ])("of %s goes where the protocol says", async (_, make, line, body) => {
    const answer = make(client);
    await settle();
    const { method, url, headers } = gateway.last;
    expect(`${method} ${url.pathname}${url.search}`).toBe(line);
    expect(
      gateway.last.body === undefined || gateway.last.body === null ? undefined : JSON.parse(gateway.last.body),
    ).toEqual(body);
    expect(headers.get("authorization")).toBe("Bearer t");
    expect(headers.get("content-type")).toBe(body === undefined ? null : "application/json");
    expect(headers.has("idempotency-key")).toBe(method === "POST");
    await gateway.last.status(200, { items: [] });
    expect(await answer).toEqual({ items: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("goes along with a redirect only if it asks: one that does something would arrive as a question", async () => {
    client.session("s").catch(() => {});
    await settle();
    expect(gateway.last.redirect).toBe("follow");
    for (const act of [() => client.createSession(), () => client.eraseSession("s")]) {
      act().catch(() => {});
      await settle();
      expect(gateway.last.redirect).toBe("error");
    }
    for (const visit of gateway.visits) await visit.status(404);
  });

  test("is made again after a failure that passes, under the same key", async () => {
    const answer = client.startRun({ workflow: "team" });
    await settle();
    gateway.last.fail(new TypeError("refused"));
    await pass(1_000);
    await gateway.last.status(503, problem(503, "store-unavailable"), { "retry-after": "5" });
    await pass(4_999);
    expect(gateway.visits).toHaveLength(2);
    await pass(1_000);
    await gateway.last.status(202, { run_id: "r" });
    expect(await answer).toEqual({ run_id: "r" });
    const keys = gateway.visits.map(({ headers }) => headers.get("idempotency-key"));
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("has a key of its own, or the caller's", async () => {
    client.startRun({ workflow: "a" }).catch(() => {});
    client.startRun({ workflow: "b" }).catch(() => {});
    client.startRun({ workflow: "c", idempotencyKey: "mine" }).catch(() => {});
    await settle();
    const keys = gateway.visits.map(({ headers }) => headers.get("idempotency-key"));
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe("mine");
    for (const visit of gateway.visits) await visit.status(404);
  });

  test("waits for the answer of its own first try", async () => {
    const answer = client.startRun({ workflow: "team" });
    await settle();
    await gateway.last.status(409, problem(409, "idempotency-key-in-flight"));
    await pass(1_000);
    await gateway.last.status(202, { run_id: "r" });
    expect(await answer).toEqual({ run_id: "r" });
  });

  test("throws what the gateway says, without asking twice", async () => {
    const answer = client.cancel("r");
    const thrown = answer.catch((error: unknown) => error);
    await settle();
    const errors = [{ in: "body", pointer: "/reason", detail: "too long" }];
    await gateway.last.status(422, { ...problem(422, "request-invalid"), detail: "no", request_id: "q", errors });
    expect(await thrown).toMatchObject({
      name: "HoldfastError",
      status: 422,
      code: "request-invalid",
      message: "no",
      requestId: "q",
      errors,
    });
    expect(gateway.visits).toHaveLength(1);
  });

  test("says that nobody answers, after three tries", async () => {
    const thrown = client.run("r").catch((error: unknown) => error);
    for (let i = 0; i < 3; i++) {
      await settle();
      gateway.last.fail(new TypeError("refused"));
      await pass(2_000);
    }
    expect(await thrown).toMatchObject({ status: 0, code: "unreachable" });
    expect(gateway.visits).toHaveLength(3);
  });

  test("gives up a gateway that says nothing", async () => {
    const thrown = client.run("r").catch((error: unknown) => error);
    await pass(100_000);
    expect(await thrown).toMatchObject({ code: "unreachable" });
  });

  test("ends with its signal, also between two tries", async () => {
    const abort = new AbortController();
    const thrown = client.run("r", { signal: abort.signal }).catch((error: unknown) => error);
    await settle();
    gateway.last.fail(new TypeError("refused"));
    await settle();
    abort.abort();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
    expect(await thrown).toMatchObject({ name: "AbortError" });
    expect(gateway.visits).toHaveLength(1);
  });

  test.each(["", ".", ".."])("refuses %j for an id, which would lead to another route", async (id) => {
    await expect(client.run(id)).rejects.toThrow(TypeError);
    expect(gateway.visits).toHaveLength(0);
  });

  test("quotes whatever else an id is made of", async () => {
    client.run("a/../b?c#d").catch(() => {});
    await settle();
    expect(gateway.last.url.pathname).toBe("/v1/runs/a%2F..%2Fb%3Fc%23d");
    await gateway.last.status(404);
  });

  test("has typed answers", () => {
    expectTypeOf(client.startRun).returns.resolves.toEqualTypeOf<Accepted>();
    expectTypeOf<StateView>().toExtend<Parameters<typeof fromPlain>[0]>();
  });
});

describe("a stream of the client's", () => {
  test("asks for what it is told to, with the client's headers", async () => {
    const connection = client.stream("s", { types: ["run.*"], agent: "writer", after: 4, onEvent: () => {} });
    await settle();
    const { url, headers } = gateway.last;
    expect(url.pathname + url.search).toBe("/v1/sessions/s/stream?types=run.*&agent=writer&after=4");
    expect(headers.get("authorization")).toBe("Bearer t");
    connection.close();
  });

  test("of a run ends with its own terminal event, not with that of a run below it", async () => {
    const seqs: number[] = [];
    const connection = client.runStream("r", { onEvent: ({ seq }) => seqs.push(seq) });
    await settle();
    await gateway.last.stream(
      event(1, "run.completed", { run_id: "child" }) + event(2, "run.failed", { run_id: "r" }) + event(3),
    );
    expect((await connection.ended).reason).toBe("complete");
    expect(seqs).toEqual([1, 2]);
    expect(gateway.visits).toHaveLength(1);
  });
});
