import { describe, expect, it } from "vitest";
import { apply, emptyState, fold, fromPlain, messages, type State, toPlain } from "../../src/fold/index.js";
import { withoutAttempts } from "../../src/views/index.js";
import { made, VECTORS, vector } from "./vectors.js";

const throughJson = (state: State) => fromPlain(JSON.parse(JSON.stringify(state)));

describe.each(VECTORS)("the log $name", ({ events, state }) => {
  it("adds up to what the gateway's fold says", () => {
    expect(toPlain(fold(events))).toEqual(state);
  });

  it("adds up to the same when the state goes through its JSON at any seq", () => {
    for (let cut = 0; cut <= events.length; cut++) {
      const resumed = throughJson(fold(events.slice(0, cut)));
      for (const event of events.slice(cut)) apply(resumed, event);

      expect(toPlain(resumed)).toEqual(state);
    }
  });

  it("counts an event that comes twice once, and changes none", () => {
    const before = structuredClone(events);

    const twice = fold([...events, ...events]);

    expect(toPlain(twice)).toEqual(state);
    expect(events).toEqual(before);
  });
});

it("shows nothing of an interruption", () => {
  const whole = withoutAttempts(vector("uninterrupted").state);

  expect(withoutAttempts(vector("interrupted-announced-again").state)).toEqual(whole);
  expect(withoutAttempts(vector("interrupted-not-announced-again").state)).toEqual(whole);
});

describe("what a state showed", () => {
  it("is never changed by later events, so that a page may compare by identity", () => {
    const { events } = vector("every-type-but-erasure");
    const state = emptyState();
    const shown: [State, string][] = [];
    for (const event of events) {
      apply(state, event);
      const plain = toPlain(state);
      shown.push([plain, JSON.stringify(plain)]);
    }

    for (const [plain, json] of shown) expect(JSON.stringify(plain)).toBe(json);
  });

  it("is the same list and the same entry as long as nothing happens to it", () => {
    const state = fold([
      made("message.started", { message_id: "m1" }),
      made("message.started", { message_id: "m2" }),
      made("step.started", { name: "a" }, { run_id: "r", step: "a#1" }),
    ]);
    const before = toPlain(state);

    apply(state, made("message.delta", { message_id: "m2", text: "x" }));

    expect(state.steps).toBe(before.steps);
    expect(state.shared).toBe(before.shared);
    expect(state.session).toBe(before.session);
    expect(state.messages).not.toBe(before.messages);
    expect(state.messages[0]).toBe(before.messages[0]);
    expect(state.messages[1]).not.toBe(before.messages[1]);
  });

  it("has the server's keys alone", () => {
    const keys = Object.keys(vector("failed").state).sort();

    expect(Object.keys(emptyState()).sort()).toEqual(keys);
    expect(Object.getOwnPropertySymbols({ ...emptyState() })).toEqual([]);
  });
});

describe("bounds", () => {
  it("of a text count characters as people and the server do, not UTF-16 units", () => {
    const moons = "🌒".repeat(1000);
    const state = emptyState();

    for (let n = 0; n < 300; n++) apply(state, made("message.delta", { message_id: "m", text: moons }));

    expect([...(state.messages[0]?.content ?? "")].length).toBe(263_000);
  });

  it("of the notices are their number", () => {
    const state = emptyState();

    for (let n = 0; n < 103; n++) apply(state, made("notification.sent", { text: `${n}` }));

    expect(state.notifications.map(({ text }) => text).slice(0, 2)).toEqual(["3", "4"]);
    expect(state.notifications).toHaveLength(100);
  });

  it("of the shared state are its keys", () => {
    const state = emptyState();
    for (let page = 0; page < 11; page++) {
      const keys = Array.from({ length: 1000 }, (_, n) => [`${page}-${n}`, n]);
      apply(state, made("state.updated", { changes: Object.fromEntries(keys) }));
    }

    expect(Object.keys(state.shared)).toHaveLength(10_000);
    expect(Object.keys(state.shared)[0]).toBe("1-0");
  });

  it("of a list are told in `forgotten`", () => {
    const state = emptyState();
    for (let n = 0; n < 10_002; n++) apply(state, made("message.started", { message_id: `${n}` }));

    expect(state.messages).toHaveLength(10_000);
    expect(state.forgotten).toEqual({ messages: 2 });
    expect(throughJson(state).forgotten).toEqual({ messages: 2 });
  });
});

it("keeps order and identity for ids that look like numbers or like something of JavaScript's", () => {
  const ids = ["7", "b", "1", "__proto__", "constructor", ""];
  const state = emptyState();
  for (const id of ids) apply(state, made("message.completed", { message_id: id, content: id, duration_ms: 1 }));
  const shared = JSON.parse('{"__proto__": {"polluted": true}, "2": 1}');
  apply(state, made("state.updated", { changes: shared }));

  expect(state.messages.map((message) => message.message_id)).toEqual(ids);
  expect(messages(state).map(({ id, content }) => [id, content])).toEqual(ids.map((id) => [id, id]));
  expect(Object.keys(state.shared)).toContain("__proto__");
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

it("tells entries of different runs, and of no run, apart", () => {
  const state = emptyState();
  for (const where of [{ run_id: "r1" }, { run_id: "r2" }, {}])
    apply(state, made("tool.started", { call_id: "c", name: "search" }, where));

  expect(state.tools.map((call) => call.run_id)).toEqual(["r1", "r2", null]);
});

it("tells keys of several parts apart, whatever is in them", () => {
  const state = emptyState();
  for (const [run_id, call_id] of [
    ["a b", "c"],
    ["a", "b c"],
    ["a,b", "c"],
    ["a", "b,c"],
  ])
    apply(state, made("tool.started", { call_id, name: "search" }, { run_id }));

  expect(state.tools).toHaveLength(4);
});

it("passes over types that it doesn't know, whatever they are called", () => {
  const state = emptyState();

  for (const type of ["custom.invoice.paid", "run.teleported", "constructor", "__proto__"]) apply(state, made(type));

  expect({ ...toPlain(state), seq: 0 }).toEqual({ ...toPlain(emptyState()) });
  expect(state.seq).toBeGreaterThan(0);
});

it("refuses a state that another version of the fold made", () => {
  expect(() => fromPlain({ ...toPlain(emptyState()), fold_version: 3 })).toThrow(/fold version 3; this one is 2/);
});
