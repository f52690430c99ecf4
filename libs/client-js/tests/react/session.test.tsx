// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type FollowOptions, type UsedSession, useSession } from "../../src/react/index.js";
import { caughtUp, control, settle } from "../scripted.js";
import { during, frame, frames, happened, Rig, said, started, stateOf } from "./rig.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

interface Props extends FollowOptions {
  id?: string | null;
}

async function used(rig: Rig, props: Props = {}) {
  let renders = 0;
  const hook = renderHook(
    ({ id = "s", ...options }: Props) => {
      renders++;
      return useSession(rig.client, id, options);
    },
    { initialProps: props, wrapper: StrictMode },
  );
  await during(async () => {});
  const now = (): UsedSession => hook.result.current;
  return { ...hook, now, renders: () => renders };
}

it("begins with the gateway's state and goes on with what happens after it", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  expect(now().status.state).toBe("connecting");
  expect([now().state.seq, now().loaded]).toEqual([0, false]);

  const stream = await rig.begin(stateOf(started, said(2, "Good ")), frames(said(3, "day")) + caughtUp(3));

  expect(stream.url.searchParams.get("after")).toBe("2");
  expect(now().messages.map((message) => message.content)).toEqual(["Good day"]);
  expect(now().status.state).toBe("live");
  expect([now().counters.events, now().loaded]).toEqual([1, true]);
  expect([now().busy, now().latest?.run_id, now().runs.length]).toEqual([true, "r", 1]);
});

it("opens one connection under StrictMode, and none is left when it is unmounted", async () => {
  const rig = new Rig();
  const onClose = vi.fn();
  const { unmount } = await used(rig, { onClose });
  await rig.begin(stateOf(started));

  expect(rig.asked("/state")).toHaveLength(1);
  expect(rig.asked("/stream")).toHaveLength(1);

  unmount();
  await during(async () => {});
  expect(rig.live).toEqual([]);
  expect(onClose).not.toHaveBeenCalled();
});

it("gives a load up that is under way when it is unmounted", async () => {
  const rig = new Rig();
  const { unmount } = await used(rig);

  unmount();
  await during(async () => {});

  expect(rig.latest("/state").signal?.aborted).toBe(true);
  expect(rig.asked("/stream")).toEqual([]);
});

it("follows another session when the id changes, and shows nothing of the one before", async () => {
  const rig = new Rig();
  const { now, rerender } = await used(rig);
  await rig.begin(stateOf(started, said(2, "old")));

  rerender({ id: "s2" });
  expect(now().messages).toEqual([]);
  await during(async () => {});
  await rig.begin(stateOf(said(7, "new")));

  expect(now().messages.map((message) => message.content)).toEqual(["new"]);
  expect(rig.live.map(({ url }) => url.pathname)).toEqual(["/v1/sessions/s2/stream"]);
});

it("calls the callbacks of the latest render, never those of an earlier one", async () => {
  const rig = new Rig();
  const batches = vi.fn();
  const first = vi.fn();
  const second = vi.fn();
  const { rerender } = await used(rig, { onEvent: first });
  const stream = await rig.begin(stateOf(started), frames(said(2, "a")));

  rerender({ onEvent: second, onEvents: batches });
  await during(async () => {
    await stream.say(frames(said(3, "b"), said(4, "c")));
    await frame();
  });

  expect(first.mock.calls.map(([event]) => event.seq)).toEqual([2]);
  expect(second.mock.calls.map(([event]) => event.seq)).toEqual([3, 4]);
  expect(batches.mock.calls.map(([events]) => events.length)).toEqual([2]);
  expect(rig.live).toHaveLength(1);
});

it("tells of an application's own events, of opening, of trouble and of the end", async () => {
  const rig = new Rig();
  const calls = { onData: vi.fn(), onOpen: vi.fn(), onError: vi.fn(), onClose: vi.fn() };
  await used(rig, calls);
  const stream = await rig.begin(
    stateOf(started),
    control("stalled") + control("live") + frames(happened(2, "custom.paid", { sum: 1 })) + caughtUp(2),
  );
  expect(calls.onData.mock.calls.map(([event]) => event.data)).toEqual([{ sum: 1 }]);
  expect(calls.onOpen).toHaveBeenCalledTimes(1);

  await during(async () => {
    await stream.breakOff();
    await vi.advanceTimersByTimeAsync(1_000);
  });
  const problem = { code: "session-erased", status: 410, title: "Gone", type: "x" };
  await during(async () => {
    await rig.latest("/stream").status(410, problem, { "content-type": "application/problem+json" });
    await frame();
  });

  expect(calls.onError.mock.lastCall?.[0].code).toBe("session-erased");
  expect(calls.onClose.mock.lastCall?.[0].state).toBe("failed");
});

it("goes on folding when a callback throws, and the error is not swallowed", async () => {
  const rig = new Rig();
  const thrown: unknown[] = [];
  const uncaught = (error: unknown) => thrown.push(error);
  process.on("uncaughtException", uncaught);
  const { now } = await used(rig, {
    onEvent: () => {
      throw new Error("mine");
    },
  });

  await rig.begin(stateOf(started), frames(said(2, "a"), said(3, "b")));
  await vi.waitFor(() => expect(thrown).toHaveLength(2));
  process.off("uncaughtException", uncaught);

  expect(now().messages[0]?.content).toBe("ab");
});

it("renders once for all that one frame brings", async () => {
  const rig = new Rig();
  const { renders, now } = await used(rig);
  const stream = await rig.begin(stateOf(started));
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: false });
  const before = renders();

  for (let seq = 2; seq < 50; seq++) await stream.say(frames(said(seq, "x")));
  await stream.say(caughtUp(49));
  expect(renders()).toBe(before);
  await frame();
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

  expect(now().state.seq).toBe(49);
  // StrictMode renders everything twice.
  expect(renders() - before).toBeLessThanOrEqual(2);
});

it("keeps the identity of what nothing happened to", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const stream = await rig.begin(stateOf(started, said(2, "a", "m1"), said(3, "b", "m2")));
  const before = now();

  await during(async () => {
    await stream.say(frames(said(4, "c", "m2")));
    await frame();
  });

  expect(now()).not.toBe(before);
  expect(now().steps).toBe(before.steps);
  expect(now().messages[0]).toBe(before.messages[0]);
  expect(before.messages[1]?.content).toBe("b");
  for (const name of ["send", "cancel", "respond", "steer", "reload"] as const) expect(now()[name]).toBe(before[name]);
});

it("leaves out of the messages what was withdrawn", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const step = { run_id: "r", step: "a#1" };
  const half = happened(2, "message.delta", { message_id: "m", text: "half" }, step);

  await rig.begin(stateOf(started, half), frames(happened(3, "step.restarted", { name: "a" }, step)));

  expect(now().state.messages).toHaveLength(1);
  expect(now().messages).toEqual([]);
});

it("loads the state anew at a reset and goes on, while events wait", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const stream = await rig.begin(stateOf(started, said(2, "gone")));

  await during(async () => {
    await stream.say(control("reset", { reason: "retention", earliest: 10 }, 9) + frames(said(10, "!")));
    await frame();
  });
  expect(now().messages.map((message) => message.content)).toEqual(["gone"]);
  await during(async () => {
    await rig.latest("/state").status(200, stateOf(said(9, "kept")));
    await frame();
  });

  expect(rig.asked("/state")).toHaveLength(2);
  expect(now().messages.map((message) => message.content)).toEqual(["kept!"]);
  expect(now().counters.resets).toBe(1);
});

it("tries the state again while the gateway is away, and says so", async () => {
  const rig = new Rig();
  const { now } = await used(rig);

  for (let tries = 0; tries < 3; tries++)
    await during(async () => {
      await rig.latest("/state").status(503, "away");
      await vi.advanceTimersByTimeAsync(1_000);
    });
  expect(now().status.state).toBe("waiting");
  expect(now().error?.status).toBe(503);
  await during(async () => vi.advanceTimersByTimeAsync(10_000));
  await rig.begin(stateOf(started), caughtUp(1));

  expect(now().status.state).toBe("live");
  expect(now().error).toBeNull();
});

it("fails on a refusal for good, until `reload` or a first run begins again", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const problem = { code: "session-unknown", status: 404, title: "Unknown", type: "x" };
  await during(async () => rig.latest("/state").status(404, problem, { "content-type": "application/problem+json" }));
  expect([now().status.state, now().error?.code]).toEqual(["failed", "session-unknown"]);

  await during(async () => {
    const sent = now().send("w");
    await settle();
    await rig.latest("/runs").status(202, { run_id: "r", session_id: "s", after: 0, stream: "" });
    await sent;
  });
  await rig.begin(stateOf(started));
  expect(now().latest?.run_id).toBe("r");

  await during(async () => now().reload());
  await rig.begin(stateOf(started, said(2, "anew")));
  expect(now().messages[0]?.content).toBe("anew");
  expect(rig.live).toHaveLength(1);
});

it("folds from the first event if asked to, or if the gateway's fold is another", async () => {
  const rig = new Rig();
  const { now } = await used(rig, { begin: "start" });
  expect(rig.asked("/state")).toEqual([]);
  expect(rig.latest("/stream").url.searchParams.get("after")).toBeNull();

  const other = new Rig();
  await used(other);
  await during(async () => other.latest("/state").status(200, { ...stateOf(started), fold_version: 3 }));

  expect(other.latest("/stream").url.searchParams.get("after")).toBeNull();
  expect(now().state.seq).toBe(0);
});

it("begins with a state that is had already", async () => {
  const rig = new Rig();
  const { now } = await used(rig, { begin: stateOf(started, said(2, "had")) });

  expect(now().messages[0]?.content).toBe("had");
  expect(rig.asked("/state")).toEqual([]);
  expect(rig.latest("/stream").url.searchParams.get("after")).toBe("2");
});

it("sends, answers, steers and cancels what is open at that moment", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const { send, respond, steer, cancel } = now();
  await expect(cancel()).rejects.toThrow("no run of this session is under way");
  await rig.begin(stateOf(started, happened(2, "input.requested", { input_id: "i", prompt: "Sure?" })));
  await expect(respond("other", 1)).rejects.toThrow("nobody waits for an answer to 'other'");

  expect(now().pendingInputs.map((input) => input.prompt)).toEqual(["Sure?"]);
  await during(async () => {
    void send("w", { goal: 1 }, { on_busy: "reject" });
    void respond("i", true);
    void steer("faster");
    void cancel();
  });

  const posted = rig.gateway.visits.filter(({ method }) => method === "POST");
  expect(posted.map(({ url, body }) => [url.pathname, JSON.parse(body ?? "")])).toEqual([
    ["/v1/sessions/s/runs", { on_busy: "reject", workflow: "w", input: { goal: 1 } }],
    ["/v1/runs/r/input", { input_id: "i", value: true }],
    ["/v1/runs/r/input", { value: "faster" }],
    ["/v1/runs/r/cancel", {}],
  ]);
});

it("follows nothing while the session is not known, and `send` makes one", async () => {
  const rig = new Rig();
  const { now } = await used(rig, { id: null });
  expect(rig.gateway.visits).toEqual([]);

  void now().send("w");
  await during(async () => {});

  expect(rig.gateway.last.url.pathname).toBe("/v1/runs");
});

it("cuts and resumes without a lost word", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  await rig.begin(stateOf(started), frames(said(2, "a")) + caughtUp(2));

  await during(async () => {
    act(() => now().connection?.cut());
    await vi.advanceTimersByTimeAsync(1_000);
  });
  await during(async () => {
    await rig.latest("/stream").stream(frames(said(3, "b")) + caughtUp(3));
    await frame();
  });

  expect(rig.latest("/stream").headers.get("last-event-id")).toBe("2");
  expect(now().messages[0]?.content).toBe("ab");
  expect(now().counters).toMatchObject({ resumes: 1, gaps: 0, duplicates: 0 });
});
