// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FollowStore } from "../../src/react/index.js";
import { caughtUp, control, pass, settle } from "../scripted.js";
import { frame, frames, Rig, said, started, stateOf } from "./rig.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A store of session `s`, without React. */
function made(rig: Rig, begin: "snapshot" | "start" = "snapshot") {
  const store = new FollowStore({
    begin,
    snapshot: (signal) => rig.client.state("s", {}, { signal }),
    stream: (options) => rig.client.stream("s", options),
  });
  const told = vi.fn();
  return { store, told, content: () => store.look().state.messages.map((message) => message.content) };
}

async function begun(rig: Rig, ...events: Parameters<typeof stateOf>) {
  await settle();
  await rig.latest("/state").status(200, stateOf(...events));
  return rig.latest("/stream").stream(caughtUp(events.length));
}

it("asks nothing before somebody listens, and closes when nobody does any more", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  await settle();
  expect(rig.gateway.visits).toEqual([]);

  const ends = [store.subscribe(told), store.subscribe(() => {})];
  await begun(rig, started);
  ends[0]?.();
  expect(rig.live).toHaveLength(1);
  ends[1]?.();

  expect(rig.live).toHaveLength(0);
});

it("goes on after its last event when somebody listens again, without loading what it has", async () => {
  const rig = new Rig();
  const { store, told, content } = made(rig);
  const end = store.subscribe(told);
  const stream = await begun(rig, started, said(2, "a"));
  await stream.say(frames(said(3, "b")));
  await frame();

  end();
  store.subscribe(told);
  await settle();
  expect(rig.asked("/state")).toHaveLength(1);
  expect(rig.latest("/stream").url.searchParams.get("after")).toBe("3");
  await rig.latest("/stream").stream(frames(said(4, "c")));
  await frame();

  expect(content()).toEqual(["abc"]);
});

it("tells nobody, and changes nothing, once it is closed", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  const end = store.subscribe(told);
  const stream = await begun(rig, started);
  await stream.say(frames(said(2, "late")));

  end();
  told.mockClear();
  const before = store.look();
  await pass(60_000);

  expect(told).not.toHaveBeenCalled();
  expect(store.look().state).toEqual(before.state);
  expect(rig.gateway.visits).toHaveLength(2);
});

it("tells once of what one frame brings, and gives the same moment until something changes", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  store.subscribe(told);
  const stream = await begun(rig, started);
  await frame();
  told.mockClear();
  const before = store.look();
  expect(store.look()).toBe(before);

  await stream.say(frames(said(2, "a")) + control("stalled", { since: "x" }) + frames(said(3, "b")));
  await frame();

  expect(told).toHaveBeenCalledTimes(1);
  expect(store.look()).not.toBe(before);
  expect([store.look().state.seq, store.look().status.state]).toEqual([3, "stalled"]);
});

it("gives up for good when a reset finds nothing to load, and closes its stream", async () => {
  const rig = new Rig();
  const { store, told } = made(rig, "start");
  store.subscribe(told);
  await settle();
  const stream = await rig.latest("/stream").stream(frames(said(1, "a")));
  await frame();

  await stream.say(control("reset", { reason: "ahead" }, 0));
  await frame();
  const gone = { code: "session-erased", status: 410, title: "Gone", type: "x" };
  await rig.latest("/state").status(410, gone, { "content-type": "application/problem+json" });
  await pass(60_000);

  expect([store.look().status.state, store.look().error?.code]).toEqual(["failed", "session-erased"]);
  expect(rig.live).toEqual([]);
});

it("is live again once the state behind a reset is loaded, however many tries that took", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  store.subscribe(told);
  const stream = await begun(rig, started);
  await frame();
  expect(store.look().status.state).toBe("live");

  await stream.say(control("reset", { reason: "retention" }, 8));
  await frame();
  await rig.latest("/state").status(503, "away");
  await pass(500);
  expect(rig.asked("/state").length).toBeGreaterThan(1);
  for (let more = 0; more < 2; more++) {
    await rig.latest("/state").status(503, "away");
    if (more === 0) await pass(1_000);
  }
  expect(store.look().status.state).toBe("waiting");
  await pass(1_000);
  await rig.latest("/state").status(200, { ...stateOf(started), seq: 9 });
  await frame();

  expect([store.look().status.state, store.look().state.seq, store.look().error]).toEqual(["live", 9, null]);
});

it("tells of every status, also of those that one render leaves out", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  const states: string[] = [];
  store.callbacks = {
    onStatus: (status, connection) => {
      expect(connection).toBe(store.look().connection);
      states.push(`${status.state} at ${connection.cursor}`);
    },
  };
  store.subscribe(told);
  const stream = await begun(rig, started, said(2, "a"));
  await stream.say(frames(said(3, "b")));
  await frame();
  store.look().connection?.cut();
  await pass(1_000);
  await rig.latest("/stream").stream(frames(said(4, "c")) + caughtUp(4));
  await frame();

  expect(states).toEqual([
    ...["connecting at 2", "catching-up at 2", "live at 2"],
    ...["waiting at 3", "connecting at 3", "catching-up at 3", "live at 4"],
  ]);
});

it("loads again the moment the page is back, however long the wait was to be", async () => {
  const rig = new Rig();
  const { store, told } = made(rig);
  store.subscribe(told);
  await settle();
  for (let tries = 0; tries < 3; tries++) {
    await rig.latest("/state").status(503, "away");
    if (tries < 2) await pass(1_000);
  }
  expect(store.look().status.state).toBe("waiting");

  dispatchEvent(new Event("online"));
  await settle();

  expect(rig.asked("/state")).toHaveLength(4);
});
