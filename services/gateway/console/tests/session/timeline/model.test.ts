import { fold } from "@holdfast/client/fold";
import { expect, test } from "vitest";
import type { Row } from "../../../src/session/timeline/layout.ts";
import { type Model, modelOf, scaleAt } from "../../../src/session/timeline/model.ts";
import type { Span } from "../../../src/session/timeline/spans.ts";
import { Log } from "../log.ts";

function begun(): Log {
  const log = new Log();
  log.add("session.created", { at: 0, run_id: undefined });
  return log.add("run.started", { at: 100, data: { workflow: "w", workflow_version: "1" } });
}

function picture(log: Log, options = {}): Model {
  return modelOf(fold(log.events), log.markers(), options);
}

function spanOf(model: Model, kind: string, name?: string): Span {
  const found = model.spans.spans.find((span) => span.kind === kind && (name === undefined || span.name === name));
  if (!found) throw new Error(`no ${kind} in the picture`);
  return found;
}

const names = (rows: readonly Row[]) =>
  rows.map((row) => [row.kind, row.first ? row.lane?.label : null].filter(Boolean).join(" "));

test("a step is a bar from its start to its end", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", agent: "Ann", data: { name: "fetch" } });
  log.add("step.completed", { at: 700, step: "s", agent: "Ann", data: { name: "fetch", duration_ms: 500 } });

  const span = spanOf(picture(log), "step");

  expect(span).toMatchObject({
    name: "fetch",
    status: "completed",
    start: log.at(200),
    end: log.at(700),
    agent: "Ann",
  });
  expect(span.target).toEqual({ kind: "step", run_id: "run_1", key: "s" });
});

test("a call without an end event of its own time ends when it had lasted", () => {
  const log = begun();
  log.add("tool.started", { at: 200, step: "t", data: { name: "curl", call_id: "c" } });
  log.add("tool.completed", { at: 450, step: "t", data: { name: "curl", call_id: "c", duration_ms: 240 } });

  expect(spanOf(picture(log), "tool").end).toBe(log.at(440));
});

test("what was open when its run ended ends with it", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
  log.add("run.cancelled", { at: 900, data: { duration_ms: 800 } });

  expect(spanOf(picture(log), "step")).toMatchObject({ status: "cancelled", end: log.at(900) });
});

test("a step that another attempt did over shows what was lost, and the gap without a worker", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
  log.add("tool.started", { at: 300, step: "t", data: { name: "curl", call_id: "c" } });
  log.add("run.resumed", { at: 15_000, attempt: 2, data: { reason: "takeover" } });
  log.add("step.restarted", { at: 15_100, attempt: 2, step: "s", data: { name: "fetch" } });
  log.add("step.completed", { at: 15_400, attempt: 2, step: "s", data: { name: "fetch", duration_ms: 300 } });

  const model = picture(log);

  expect(spanOf(model, "step")).toMatchObject({ attempt: 2, start: log.at(200), end: log.at(15_400) });
  expect(spanOf(model, "step").parts).toMatchObject([{ kind: "lost", start: log.at(200), end: log.at(15_100) }]);
  expect(model.layout.groups[0]?.interruptions).toMatchObject([
    { kind: "lost", start: log.at(300), end: log.at(15_000) },
  ]);
  expect(model.layout.groups[0]?.attempts).toMatchObject([{ attempt: 2, reason: "takeover" }]);
});

test("a step that is tried again shows its pauses and counts its tries", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
  const error = { code: "x", message: "no answer" };
  log.add("step.retrying", { at: 300, step: "s", data: { name: "fetch", error, delay_ms: 400, next_try: 2 } });
  log.add("step.completed", { at: 900, step: "s", data: { name: "fetch", duration_ms: 200 } });

  const span = spanOf(picture(log), "step");

  expect(span.tries).toBe(2);
  expect(span.parts).toEqual([{ kind: "pause", start: log.at(300), end: log.at(700), note: "no answer" }]);
});

test("a planned task begins when it was begun, and one that wasn't has no bar", () => {
  const log = begun();
  const items = ["1", "2"].map((task_id) => ({ task_id, title: `Task ${task_id}` }));
  log.add("plan.created", { at: 200, data: { plan_id: "p", items } });
  log.add("task.started", { at: 800, data: { task_id: "1" } });

  const tasks = picture(log).spans.spans.filter((span) => span.kind === "task");

  expect(tasks).toMatchObject([{ name: "Task 1", start: log.at(800), end: null }]);
});

test("every turn of an agent is told, not the latest alone", () => {
  const log = begun();
  for (const at of [200, 600]) {
    log.add("agent.started", { at, agent: "Ann", data: { name: "Ann" } });
    log.add("agent.completed", { at: at + 300, agent: "Ann", data: { name: "Ann", duration_ms: 300 } });
  }

  const turns = picture(log).spans.spans.filter((span) => span.kind === "agent");

  expect(turns.map(({ start, end }) => [start, end])).toEqual([
    [log.at(200), log.at(500)],
    [log.at(600), log.at(900)],
  ]);
});

test("a question is a bar until somebody answers", () => {
  const log = begun();
  log.add("input.requested", { at: 500, data: { input_id: "i", prompt: "Publish?" } });
  expect(spanOf(picture(log), "wait")).toMatchObject({ name: "Publish?", status: "waiting", end: null });

  log.add("input.received", { at: 9_500, data: { input_id: "i", duration_ms: 9_000 } });

  expect(spanOf(picture(log), "wait")).toMatchObject({ status: "completed", end: log.at(9_500) });
});

test("a question whose request is no longer among the markers is drawn all the same", () => {
  const log = begun().add("input.requested", { at: 500, data: { input_id: "i", prompt: "Publish?" } });

  const model = modelOf(fold(log.events), []);

  expect(spanOf(model, "wait").target).toEqual({ kind: "run", run_id: "run_1" });
});

test("agents have a lane each, parallel branches too, and calls within a step stand below it", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", agent: "Ann", data: { name: "think" } });
  log.add("llm.started", { at: 210, step: "s", agent: "Ann", data: { call_id: "l" } });
  for (const lane of ["a", "b"]) {
    log.add("tool.started", { at: 300, step: lane, agent: "Bob", lane, data: { name: "curl", call_id: lane } });
  }

  const { rows, groups } = picture(log).layout;

  expect(groups).toHaveLength(1);
  expect(names(rows)).toEqual(["run", "steps Ann", "calls", "calls Bob", "calls Bob"]);
});

test("what follows each other shares a row, what overlaps doesn't", () => {
  const log = begun();
  const call = (id: string, at: number, ms: number) => {
    log.add("tool.started", { at, step: id, agent: "Ann", data: { name: id, call_id: id } });
    log.add("tool.completed", {
      at: at + ms,
      step: id,
      agent: "Ann",
      data: { name: id, call_id: id, duration_ms: ms },
    });
  };
  call("first", 200, 100);
  call("second", 300, 400);
  call("beside", 500, 50);

  const { rows } = picture(log).layout;

  expect(rows.slice(1).map((row) => row.spans.map(({ name }) => name))).toEqual([["first", "second"], ["beside"]]);
});

test("a child run follows its parent, set in", () => {
  const log = begun();
  log.add("run.started", {
    at: 300,
    run_id: "run_2",
    parent_run_id: "run_1",
    data: { workflow: "c", workflow_version: "1" },
  });
  log.add("run.started", { at: 900, run_id: "run_3", data: { workflow: "w", workflow_version: "1" } });

  expect(picture(log).layout.groups.map(({ runId, depth }) => [runId, depth])).toEqual([
    ["run_1", 0],
    ["run_2", 1],
    ["run_3", 0],
  ]);
});

test("stages follow each other; the last one ends with its run", () => {
  const log = begun();
  log
    .add("stage.changed", { at: 200, data: { to: "plan" } })
    .add("stage.changed", { at: 500, data: { from: "plan", to: "do" } });
  log.add("run.completed", { at: 900, data: { duration_ms: 800 } });

  expect(picture(log).layout.groups[0]?.stages).toMatchObject([
    { name: "plan", start: log.at(200), end: log.at(500) },
    { name: "do", start: log.at(500), end: log.at(900) },
  ]);
});

test("a folded run has one row, and none of its children's", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
  log.add("run.started", {
    at: 300,
    run_id: "run_2",
    parent_run_id: "run_1",
    data: { workflow: "c", workflow_version: "1" },
  });

  expect(picture(log, { folded: new Set(["run_1"]) }).layout.rows).toHaveLength(1);
});

test("the wait for a person is folded on the time axis, and the work before it keeps its room", () => {
  const log = begun();
  log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
  log.add("step.completed", { at: 4_200, step: "s", data: { name: "fetch", duration_ms: 4_000 } });
  log.add("input.requested", { at: 4_300, data: { input_id: "i", prompt: "Publish?" } });
  const model = picture(log);

  const scale = scaleAt(model, log.at(3_600_000));

  expect(scale.breaks).toHaveLength(1);
  expect(scale.toDrawn(log.at(4_200)) / scale.length).toBeGreaterThan(0.8);
  expect(scaleAt(model, log.at(3_600_000), false).breaks).toEqual([]);
});

test("a takeover within the lease is shown as long as it took, a night without workers is not", () => {
  for (const [gap, breaks] of [
    [15_000, 0],
    [36_000_000, 1],
  ] as const) {
    const log = begun();
    log.add("step.started", { at: 200, step: "s", data: { name: "fetch" } });
    log.add("run.resumed", { at: gap, attempt: 2, data: { reason: "takeover" } });
    log.add("step.restarted", { at: gap + 10, attempt: 2, step: "s", data: { name: "fetch" } });
    log.add("step.completed", { at: gap + 500, attempt: 2, step: "s", data: { name: "fetch", duration_ms: 490 } });

    expect(scaleAt(picture(log), log.at(gap + 500)).breaks).toHaveLength(breaks);
  }
});
