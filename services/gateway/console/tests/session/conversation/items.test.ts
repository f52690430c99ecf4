import { fold, type State } from "@holdfast/client/fold";
import { describe, expect, test } from "vitest";
import { activity } from "../../../src/session/conversation/activity.ts";
import { createReader, type Item, timeOf } from "../../../src/session/conversation/items.ts";
import { placeOf } from "../../../src/session/conversation/places.ts";
import { Log } from "../log.ts";

function kinds(log: Log): string[] {
  return createReader()(state(log), log.events).map((item) => item.kind);
}

function state(log: Log): State {
  return fold(log.events);
}

const run = { data: { workflow: "w", workflow_version: "1", input: { topic: "tea" } } };

describe("a session as a conversation", () => {
  test("runs, stages, words, tools and answers stand in the order in which they happened", () => {
    const log = new Log()
      .add("run.started", run)
      .add("stage.changed", { data: { to: "first" } })
      .add("reasoning.started", { data: { reasoning_id: "r" } })
      .add("tool.started", { data: { call_id: "c", name: "search" } })
      .add("input.requested", { data: { input_id: "i", prompt: "Go on?" } })
      .add("input.received", { data: { input_id: "i", value: true, duration_ms: 1 } })
      .add("run.resumed", { attempt: 2, data: { reason: "input" } })
      .add("message.completed", { data: { message_id: "m", role: "assistant", content: "Done." } })
      .add("run.completed", { data: { duration_ms: 1 } });

    expect(kinds(log)).toEqual(["run-started", "stage", "reasoning", "tool", "answer", "message", "run-ended"]);
  });

  test("a run begins with what it was asked, which only its first event tells", () => {
    const log = new Log().add("run.started", run);

    const [first] = createReader()(state(log), log.events);

    expect(first).toMatchObject({ kind: "run-started", input: { topic: "tea" } });
  });

  test("a takeover is told, going on after an answer isn't", () => {
    const log = new Log()
      .add("run.started", run)
      .add("run.resumed", { attempt: 2, data: { reason: "takeover" } })
      .add("run.resumed", { attempt: 3, data: { reason: "input" } });

    const items = createReader()(state(log), log.events);

    expect(items.filter((item) => item.kind === "run-resumed")).toMatchObject([{ attempt: 2, reason: "takeover" }]);
  });

  test("an answer stands beside its question, and says who gave it", () => {
    const log = new Log()
      .add("run.started", run)
      .add("input.requested", { data: { input_id: "i", prompt: "Go on?" } })
      .add("input.received", { user_id: "ann", data: { input_id: "i", value: 7, duration_ms: 1 } });

    const items = createReader()(state(log), log.events);

    expect(items.at(-1)).toMatchObject({ kind: "answer", prompt: "Go on?", value: 7, who: "ann" });
  });

  test("what was withdrawn isn't shown until it is said anew", () => {
    const log = new Log()
      .add("run.started", run)
      .add("message.started", { step: "s", data: { message_id: "m" } })
      .add("step.restarted", { step: "s", data: { name: "s" } });
    expect(kinds(log)).toEqual(["run-started"]);

    log.add("message.delta", { step: "s", data: { message_id: "m", text: "again" } });

    expect(kinds(log)).toEqual(["run-started", "message"]);
  });

  test("a component that is rendered again stays where it first stood", () => {
    const read = createReader();
    const log = new Log()
      .add("run.started", run)
      .add("component.rendered", { data: { component_id: "a", component_type: "text", content: 1 } })
      .add("message.completed", { data: { message_id: "m", role: "assistant", content: "x" } });
    read(state(log), log.events);

    log.add("component.rendered", { data: { component_id: "a", component_type: "text", content: 2 } });
    const items = read(state(log), log.events);

    expect(items.map((item) => item.kind)).toEqual(["run-started", "component", "message"]);
    expect(items[1]).toMatchObject({ entry: { content: 2 } });
  });

  test("a failed step is told once: as its tool, if it is one", () => {
    const error = { code: "x", message: "no", retryable: false };
    const log = new Log()
      .add("run.started", run)
      .add("tool.started", { step: "t", data: { call_id: "c", name: "search" } })
      .add("tool.failed", { step: "t", data: { call_id: "c", name: "search", error, duration_ms: 1 } })
      .add("step.started", { step: "t", data: { name: "t" } })
      .add("step.failed", { step: "t", data: { name: "t", error, duration_ms: 1 } })
      .add("step.started", { step: "u", data: { name: "u" } })
      .add("step.failed", { step: "u", data: { name: "u", error, duration_ms: 1 } });

    expect(kinds(log)).toEqual(["run-started", "tool", "step"]);
  });

  test("tasks stand with their plan, others with their run", () => {
    const log = new Log()
      .add("run.started", run)
      .add("plan.created", { data: { plan_id: "p", items: [{ task_id: "1", title: "One" }] } })
      .add("task.started", { data: { task_id: "extra", title: "Extra" } });

    const plans = createReader()(state(log), log.events).filter((item) => item.kind === "plan");

    expect(plans.map((item) => item.tasks.map((task) => task.task_id))).toEqual([["1"], ["extra"]]);
  });

  test("an unchanged row is the same object, so that nothing is drawn twice", () => {
    const read = createReader();
    const log = new Log()
      .add("run.started", run)
      .add("message.completed", { data: { message_id: "m", role: "assistant", content: "x" } });
    const folded = fold(log.events);

    const message = (items: readonly Item[]) => items.find((item) => item.kind === "message");

    expect(message(read(folded, log.events))).toBe(message(read(folded, log.events)));
  });

  test("of what shares a millisecond, causes come before effects", () => {
    const log = new Log()
      .add("run.started", { at: 0, ...run })
      .add("message.completed", { at: 0, data: { message_id: "m", role: "assistant", content: "x" } })
      .add("stage.changed", { at: 0, data: { to: "first" } })
      .add("run.completed", { at: 0, data: { duration_ms: 0 } });

    expect(kinds(log)).toEqual(["run-started", "stage", "message", "run-ended"]);
  });

  test("a row never stands before an earlier one", () => {
    const log = Log.talk(3);
    const times = createReader()(state(log), log.events).map(timeOf);

    expect(times).toEqual([...times].sort());
  });
});

test("what is picked on the timeline is found among the rows", () => {
  const log = new Log()
    .add("run.started", run)
    .add("tool.started", { step: "t", agent: "Ann", data: { call_id: "c", name: "search" } })
    .add("message.completed", { step: "s", agent: "Bob", data: { message_id: "m", role: "assistant", content: "x" } });
  const items = createReader()(state(log), log.events);
  const found = (selection: Parameters<typeof placeOf>[1]) => items[placeOf(items, selection)]?.kind;

  expect(found({ kind: "tool", run_id: "run_1", call_id: "c" })).toBe("tool");
  expect(found({ kind: "step", run_id: "run_1", key: "s" })).toBe("message");
  expect(found({ kind: "agent", run_id: "run_1", name: "Ann", lane: null })).toBe("tool");
  expect(found({ kind: "message", message_id: "m" })).toBe("message");
  expect(placeOf(items, { kind: "message", message_id: "other" })).toBe(-1);
});

describe("what goes on between two words", () => {
  const started = () => new Log().add("run.started", run);

  test("who thinks is named", () => {
    const log = started()
      .add("agent.started", { agent: "Ann", data: { name: "Ann" } })
      .add("llm.started", { agent: "Ann", data: { call_id: "c" } });

    expect(activity(state(log), false)).toBe("Ann is thinking");
  });

  test("a message that is being written says it itself", () => {
    expect(activity(state(started().add("message.started", { data: { message_id: "m" } })), false)).toBeNull();
  });

  test("a run without a worker is told as such", () => {
    expect(activity(state(started()), true)).toMatch(/worker is gone/);
  });

  test("a run that asks says so by its question, also when it was told something else", () => {
    const log = started()
      .add("input.requested", { data: { input_id: "i", prompt: "Go on?" } })
      .add("input.received", { data: { input_id: "other", value: "hurry", duration_ms: 0 } })
      .add("run.resumed", { attempt: 2, data: { reason: "input" } });

    expect(activity(state(log), false)).toBeNull();
  });

  test("nothing goes on once the run has ended", () => {
    expect(activity(state(Log.talk(1)), false)).toBeNull();
  });
});
