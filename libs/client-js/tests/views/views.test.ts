import { describe, expect, it } from "vitest";
import { apply, emptyState, type Folding, fold, fromPlain, type Recorded, toPlain } from "../../src/fold/index.js";
import { conversation, ofRun, openInputs, progressOf, thinking, timeline } from "../../src/views/index.js";

/** A log of run `r`, an event per second; `where` overrides the envelope, `ts` included. */
function log(...events: [type: string, data?: object, where?: object][]): Folding {
  return fold(
    events.map(([type, data = {}, where = {}], n) => {
      const ts = new Date(Date.UTC(2026, 10, 21, 9, 0, n + 1)).toISOString();
      return { v: 1, seq: n + 1, type, session_id: "s", run_id: "r", attempt: 1, ts, ...where, data } as Recorded;
    }),
  );
}

const started = ["run.started", { workflow: "w", workflow_version: "1" }] as const;
const begun: [string, object] = [...started];
const second = (n: number) => Date.UTC(2026, 10, 21, 9, 0, n);

describe("conversation", () => {
  it("tells everything that people are shown in order of appearance", () => {
    const state = log(
      begun,
      ["notification.sent", { text: "hello" }],
      ["message.completed", { message_id: "m1", role: "user", content: "go", duration_ms: 0 }],
      ["reasoning.completed", { reasoning_id: "t1", content: "hm", duration_ms: 0 }],
      ["tool.started", { call_id: "k1", name: "search" }],
      ["message.delta", { message_id: "m2", text: "so" }],
      ["component.rendered", { component_id: "c1", component_type: "chart" }],
      ["artifact.created", { artifact_id: "a1", name: "x" }],
      ["tool.completed", { call_id: "k1", name: "search", duration_ms: 3 }],
      ["input.requested", { input_id: "i1", prompt: "Sure?" }],
    );

    expect(conversation(state).map((item) => item.kind)).toEqual([
      "notice",
      "message",
      "reasoning",
      "tool",
      "message",
      "component",
      "artifact",
      "input",
    ]);
    expect(conversation(state, { kinds: ["message"] }).map((item) => item.key)).toEqual(["message m1", "message m2"]);
    expect(conversation(state, { run: "other" })).toEqual([]);
    expect(new Set(conversation(state).map((item) => item.key)).size).toBe(8);
  });

  it("leaves out what was withdrawn until it is shown anew", () => {
    const step = { step: "a#1" };
    const state = log(
      begun,
      ["step.started", { name: "a" }, step],
      ["message.delta", { message_id: "m", text: "half" }, step],
      ["step.restarted", { name: "a" }, { ...step, attempt: 2 }],
    );
    expect(conversation(state)).toEqual([]);

    const again = { seq: 9, type: "message.delta", session_id: "s", run_id: "r", ...step, ts: "x" };
    apply(state, { ...again, data: { message_id: "m", text: "whole" } });

    expect(conversation(state).map(({ entry }) => "content" in entry && entry.content)).toEqual(["whole"]);
  });

  it("keeps the log's order within a kind although clocks of workers disagree", () => {
    const state = log(
      ["message.delta", { message_id: "a", text: "1" }, { ts: "2026-11-21T09:00:09.000Z" }],
      ["message.delta", { message_id: "b", text: "2" }, { ts: "2026-11-21T09:00:01.000Z" }],
      ["tool.started", { call_id: "t", name: "x" }, { ts: "2026-11-21T09:00:10.000Z" }],
    );

    expect(conversation(state).map((item) => item.key)).toEqual(["message a", "message b", "tool r t"]);
  });

  it("gives the same item object for what nothing happened to", () => {
    const state = emptyState();
    const text = (seq: number, message_id: string) =>
      apply(state, {
        seq,
        type: "message.delta",
        session_id: "s",
        ts: `${message_id}`,
        data: { message_id, text: "x" },
      });
    text(1, "a");
    text(2, "b");
    const [a, b] = conversation(state);

    text(3, "b");

    const [a2, b2] = conversation(state);
    expect(a2).toBe(a);
    expect(b2).not.toBe(b);
    expect(b2?.key).toBe(b?.key);
  });
});

describe("thinking", () => {
  it("names the closest thing that is under way, and nothing while a message is being written", () => {
    const at = { agent: "Ann", step: "a#1" };
    const story: [string, object?, object?][] = [
      begun,
      ["step.started", { name: "write" }, at],
      ["llm.started", { call_id: "l", model: "small" }, at],
      ["tool.started", { call_id: "k", name: "search" }, at],
      ["reasoning.delta", { reasoning_id: "t", text: "hm" }, at],
      ["message.delta", { message_id: "m", text: "So" }, at],
      ["run.completed", { duration_ms: 1 }],
    ];

    const told = story.map((_, n) => thinking(log(...story.slice(0, n + 1))));

    expect(told.map((it) => it && [it.kind, it.text, it.agent])).toEqual([
      ["run", "w", null],
      ["step", "write", "Ann"],
      ["model", "small", "Ann"],
      ["tool", "search", "Ann"],
      ["reasoning", "hm", "Ann"],
      null,
      null,
    ]);
    expect(thinking(log(begun), "other")).toBeNull();
  });
});

describe("progressOf", () => {
  it("is what the run says, or the share of its planned tasks that are done", () => {
    const items = [1, 2, 3, 4].map((n) => ({ task_id: `${n}`, title: `${n}` }));
    const plan: [string, object] = ["plan.created", { plan_id: "p", items }];
    const done: [string, object] = ["task.completed", { task_id: "1", duration_ms: 1 }];

    expect(progressOf(log(begun))).toBeNull();
    expect(progressOf(log(begun, plan, done))).toEqual({ fraction: 0.25, label: "1 of 4" });
    expect(progressOf(log(begun, plan, ["progress.updated", { fraction: 0.5, label: "half" }]))).toEqual({
      fraction: 0.5,
      label: "half",
    });
    expect(progressOf(log(begun, plan, ["run.completed", { duration_ms: 1 }]), "r")?.fraction).toBe(1);
    expect(progressOf(emptyState())).toBeNull();
  });
});

it("openInputs are the questions that wait, of one run if asked", () => {
  const state = log(begun, ["input.requested", { input_id: "i", prompt: "?" }]);

  expect(openInputs(state).map((input) => input.input_id)).toEqual(["i"]);
  expect(openInputs(state, "other")).toEqual([]);
});

describe("timeline", () => {
  const left = { agent: "Ann", lane: "left", step: "a#1" };
  const right = { agent: "Bob", lane: "right", step: "b#1" };
  const child = { run_id: "c", parent_run_id: "r", step: "c#1" };
  const story: [string, object?, object?][] = [
    begun, // second 1
    ["step.started", { name: "a" }, left],
    ["step.started", { name: "b" }, right],
    ["tool.started", { call_id: "k1", name: "search" }, left],
    ["tool.started", { call_id: "k2", name: "fetch" }, left],
    ["tool.completed", { call_id: "k1", name: "search", duration_ms: 1500 }, left],
    ["run.started", { workflow: "w2", workflow_version: "1" }, child],
    ["step.started", { name: "c" }, child],
    ["step.completed", { name: "b", duration_ms: 1 }, right], // second 9
    ["step.restarted", { name: "a" }, { ...left, attempt: 2 }],
  ];

  it("has a row per run, and per agent and branch in it, children below their parents", () => {
    const { rows } = timeline(log(...story));

    expect(rows.map((row) => [row.kind, row.run_id, row.agent, row.lane, row.depth])).toEqual([
      ["run", "r", null, null, 0],
      ["lane", "r", "Ann", "left", 1],
      ["lane", "r", "Bob", "right", 1],
      ["run", "c", null, null, 1],
      ["lane", "c", null, null, 2],
    ]);
    expect(new Set(rows.map((row) => row.key)).size).toBe(5);
    expect(new Set(rows.flatMap((row) => row.bars).map((bar) => bar.key)).size).toBe(5);
  });

  it("has bars from start to end, those that overlap on tracks of their own", () => {
    const { rows, start, end } = timeline(log(...story));

    const told = rows[1]?.bars.map((bar) => [bar.kind, bar.label, bar.start, bar.end, bar.track, bar.attempt]);
    // The restart withdrew the tool calls: the second attempt shows them anew.
    expect(told).toEqual([["step", "a", second(2), null, 0, 2]]);
    expect(rows[2]?.bars.map((bar) => [bar.start, bar.end, bar.status])).toEqual([[second(3), second(9), "completed"]]);
    expect([start, end]).toEqual([second(1), null]);

    const before = timeline(log(...story.slice(0, -1))).rows[1];
    expect(before?.tracks).toBe(3);
    expect(before?.bars.map((bar) => [bar.label, bar.track, bar.end])).toEqual([
      ["a", 0, null],
      ["search", 1, second(4) + 1500],
      ["fetch", 2, null],
    ]);
  });

  it("closes what a run left open where the run ended, and then has an end itself", () => {
    const { rows, end } = timeline(log(...story, ["run.failed", { error: {}, duration_ms: 1 }]), { run: "r" });

    expect(rows[1]?.bars.find((bar) => bar.kind === "step")?.end).toBe(second(11));
    // Its child goes on.
    expect(end).toBeNull();
    const ended = timeline(log(...story.slice(0, 6), ["run.failed", { error: {}, duration_ms: 1 }]));
    expect(ended.end).toBe(second(7));
  });

  it("shows one run alone, and an empty session as nothing", () => {
    expect(timeline(log(...story), { run: "c" }).rows.map((row) => [row.run_id, row.depth])).toEqual([
      ["c", 0],
      ["c", 1],
    ]);
    expect(timeline(emptyState())).toEqual({ rows: [], start: 0, end: 0 });
  });
});

it("ofRun leaves out what other runs show, and can be folded on", () => {
  const state = log(
    begun,
    ["message.delta", { message_id: "m", text: "x" }],
    ["run.started", { workflow: "o", workflow_version: "1" }, { run_id: "o" }],
    ["message.delta", { message_id: "om", text: "y" }, { run_id: "o" }],
    ["stage.changed", { to: "end" }, { run_id: "o" }],
    ["notification.sent", { text: "z" }, { run_id: "o" }],
  );

  const mine = fromPlain(ofRun(toPlain(state), "r"));

  expect(mine.messages.map((message) => message.message_id)).toEqual(["m"]);
  expect([mine.stage, mine.notifications.length, mine.runs.length, mine.seq]).toEqual([null, 0, 1, 6]);
});
