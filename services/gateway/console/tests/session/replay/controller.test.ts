import { fold, toPlain } from "@holdfast/client/fold";
import { describe, expect, test } from "vitest";
import { type Clock, ReplayController } from "../../../src/session/replay/controller.ts";
import { SILENCE_MAX_MS } from "../../../src/session/replay/playhead.ts";
import { Gateway, Log } from "../log.ts";

class FakeClock implements Clock {
  time = 0;
  #waiting: (() => void) | null = null;

  now(): number {
    return this.time;
  }

  frame(callback: () => void): () => void {
    this.#waiting = callback;
    return () => {
      this.#waiting = null;
    };
  }

  /** Let so much time pass in frames of 50 ms, and what was asked for arrive. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      this.time += 50;
      const due = this.#waiting;
      this.#waiting = null;
      due?.();
      await settled();
    }
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

function replayOf(log: Log, options: { minSeq?: number } = {}) {
  const gateway = new Gateway(log);
  const clock = new FakeClock();
  const controller = new ReplayController({
    client: gateway,
    sessionId: "ses_1",
    minSeq: options.minSeq ?? 1,
    head: log.head,
    clock,
  });
  return { gateway, clock, controller };
}

function stateAt(log: Log, seq: number): unknown {
  return toPlain(fold(log.events.filter((event) => event.seq <= seq)));
}

function shown(controller: ReplayController): unknown {
  const { state } = controller.get();
  return state && toPlain(state);
}

describe("seeking", () => {
  test("the state at any seq is the fold of the events up to it, whichever way one comes there", async () => {
    const log = Log.talk(1_700);
    const { controller } = replayOf(log);

    for (const seq of [1_337, 1_336, 1_340, 3, 500, 501, 1_000, 1_704, 1]) {
      controller.seek(seq);
      await settled();

      expect(controller.get().seq).toBe(seq);
      expect(shown(controller)).toEqual(stateAt(log, seq));
    }
  });

  test("a step back within a block asks the gateway for nothing", async () => {
    const { controller, gateway } = replayOf(Log.talk(1_700));
    controller.seek(1_337);
    await settled();
    gateway.asked.length = 0;

    controller.step(-1);
    await settled();

    expect(controller.get().seq).toBe(1_336);
    expect(gateway.asked).toEqual([]);
  });

  test("of many seqs asked for meanwhile the last one counts", async () => {
    const { controller } = replayOf(Log.talk(1_700));

    for (const seq of [100, 900, 1_500, 700]) controller.seek(seq);
    await settled();

    expect(controller.get().seq).toBe(700);
    expect(controller.get().loading).toBe(false);
  });

  test("one can't leave the log", async () => {
    const log = Log.talk(20);
    const { controller } = replayOf(log);

    controller.seek(10_000);
    await settled();
    expect(controller.get().seq).toBe(log.head);
    controller.seek(-5);
    await settled();
    expect(controller.get().seq).toBe(1);
  });

  test("the event at the place and the states around it are told", async () => {
    const log = Log.talk(20);
    const { controller } = replayOf(log);

    controller.seek(6);
    await settled();

    const { event, ts, before, after } = controller.get();
    expect(event).toBe(log.events[5]);
    expect(ts).toBe(log.events[5]?.ts);
    expect(before?.messages[0]?.content).toBe("1 2 ");
    expect(after?.messages[0]?.content).toBe("1 2 3 ");
  });

  test("a failure is told, the place stays, and another try works", async () => {
    const { controller, gateway } = replayOf(Log.talk(1_700));
    controller.seek(10);
    await settled();
    gateway.failing = new Error("the gateway is away");

    controller.seek(1_600);
    await settled();
    expect(controller.get()).toMatchObject({ seq: 10, target: 10, error: "the gateway is away", loading: false });
    gateway.failing = null;
    controller.seek(1_600);
    await settled();

    expect(controller.get()).toMatchObject({ seq: 1_600, error: null });
  });

  test("nothing is asked for before somebody moves", async () => {
    const { gateway } = replayOf(Log.talk(20));
    await settled();

    expect(gateway.asked).toEqual([]);
  });

  test("back in the present, the next step begins at the head", async () => {
    const log = Log.talk(20);
    const { controller } = replayOf(log);
    controller.seek(4);
    await settled();

    controller.leave();
    expect(controller.get()).toMatchObject({ seq: null, target: null, state: null });
    controller.step(-1);
    await settled();

    expect(controller.get().seq).toBe(log.head - 1);
  });
});

describe("playing", () => {
  test("events come at the log's own pace", async () => {
    const { controller, clock } = replayOf(Log.talk(60));
    controller.seek(4);
    await settled();

    controller.play();
    await clock.pass(1_000);

    // One event in 100 ms.
    expect(controller.get().seq).toBeGreaterThanOrEqual(12);
    expect(controller.get().seq).toBeLessThanOrEqual(14);
  });

  test("twice the speed is twice as many", async () => {
    const { controller, clock } = replayOf(Log.talk(60));
    controller.seek(4);
    await settled();

    controller.setSpeed(2);
    controller.play();
    await clock.pass(1_000);

    expect(controller.get().seq).toBeGreaterThanOrEqual(21);
    expect(controller.get().seq).toBeLessThanOrEqual(24);
  });

  test("at full speed a block is over in a moment, over its edges too, and playing ends at the head", async () => {
    const log = Log.talk(1_700);
    const { controller, clock } = replayOf(log);

    controller.setSpeed(Number.POSITIVE_INFINITY);
    controller.play();
    await clock.pass(2_000);

    expect(controller.get()).toMatchObject({ seq: log.head, playing: false });
    expect(shown(controller)).toEqual(stateAt(log, log.head));
  });

  test("a long silence is cut short", async () => {
    const log = new Log();
    log
      .add("session.created", { at: 0 })
      .add("run.started", { at: 100, data: { workflow: "w", workflow_version: "1" } });
    log.add("run.completed", { at: 3_600_000, data: { duration_ms: 1 } });
    const { controller, clock } = replayOf(log);

    controller.play();
    await clock.pass(SILENCE_MAX_MS + 600);

    expect(controller.get().seq).toBe(3);
  });

  test("a step by hand pauses", async () => {
    const { controller, clock } = replayOf(Log.talk(60));
    controller.play();
    await clock.pass(500);

    controller.step(1);
    await settled();
    const at = controller.get().seq;
    await clock.pass(1_000);

    expect(controller.get()).toMatchObject({ playing: false, seq: at });
  });

  test("pressed at the end it plays from the beginning", async () => {
    const log = Log.talk(20);
    const { controller, clock } = replayOf(log);
    controller.toEnd();
    await settled();

    controller.play();
    await clock.pass(200);

    expect(controller.get().playing).toBe(true);
    expect(controller.get().seq).toBeLessThan(8);
  });
});

describe("boundaries", () => {
  function steps(): Log {
    const log = new Log();
    log.add("session.created").add("run.started", { data: { workflow: "w", workflow_version: "1" } });
    log.add("step.started", { step: "a", data: { name: "a" } });
    for (let at = 0; at < 1_200; at++) log.add("message.delta", { data: { message_id: "m", text: "." } });
    log.add("step.completed", { step: "a", data: { name: "a", duration_ms: 5 } });
    for (let at = 0; at < 3; at++) log.add("message.delta", { data: { message_id: "m", text: "." } });
    return log;
  }

  test("one skips to where a step ends, and back to where it began", async () => {
    const { controller } = replayOf(steps());
    controller.seek(10);
    await settled();

    await controller.stepBoundary(1);
    await settled();
    expect(controller.get().event?.type).toBe("step.completed");
    await controller.stepBoundary(-1);
    await settled();

    expect(controller.get().event?.type).toBe("step.started");
  });

  test("behind the last boundary is the head, before the first one the beginning", async () => {
    const log = steps();
    const { controller } = replayOf(log);
    controller.seek(log.head - 1);
    await settled();

    await controller.stepBoundary(1);
    await settled();
    expect(controller.get().seq).toBe(log.head);
    controller.seek(2);
    await settled();
    await controller.stepBoundary(-1);
    await settled();

    expect(controller.get().seq).toBe(1);
  });
});

describe("what is no longer there", () => {
  test("below the first kept seq nothing is asked for", async () => {
    const log = Log.talk(1_700);
    const { controller, gateway } = replayOf(log, { minSeq: 1_200 });

    controller.seek(1);
    await settled();

    expect(controller.get().target).toBe(1_200);
    expect(gateway.asked).not.toContain("state at 1000");
  });

  test("a seq whose event was compacted away shows the state all the same", async () => {
    const log = Log.talk(40);
    log.events.splice(9, 5); // seqs 10 to 14
    const gateway = new Gateway(log);
    const controller = new ReplayController({
      client: gateway,
      sessionId: "ses_1",
      minSeq: 1,
      head: 44,
      clock: new FakeClock(),
    });

    controller.seek(12);
    await settled();

    expect(controller.get()).toMatchObject({ seq: 12, event: null });
    expect(controller.get().state?.messages[0]?.content).toBe("1 2 3 4 5 6 ");
  });
});
