import { fold } from "@holdfast/client/fold";
import { expect, test } from "vitest";
import { modelOf } from "../../../src/session/timeline/model.ts";
import { firstWithin, type Spot, spotOf, step } from "../../../src/session/timeline/walk.ts";
import { Log } from "../log.ts";

function lanes() {
  const log = new Log().add("session.created", { at: 0 });
  log.add("run.started", { at: 1, data: { workflow: "w", workflow_version: "1" } });
  const call = (id: string, agent: string, at: number) => {
    log.add("tool.started", { at, step: id, agent, data: { name: id, call_id: id } });
    log.add("tool.completed", { at: at + 50, step: id, agent, data: { name: id, call_id: id, duration_ms: 50 } });
  };
  call("a1", "Ann", 100);
  call("b1", "Bob", 200);
  call("a2", "Ann", 300);
  call("b2", "Bob", 400);
  return modelOf(fold(log.events), log.markers()).layout;
}

const layout = lanes();

const at = (name: string): Spot => {
  const spot = spotOf(layout, `tool\nrun_1\n${name}`);
  if (!spot) throw new Error(`no ${name}`);
  return spot;
};

test("arrows go along a row and stop at its ends", () => {
  expect(step(layout, at("a1"), "right").span.name).toBe("a2");
  expect(step(layout, at("a2"), "right").span.name).toBe("a2");
  expect(step(layout, at("b2"), "first").span.name).toBe("b1");
  expect(step(layout, at("b1"), "last").span.name).toBe("b2");
});

test("up and down go to what was nearest in time, over rows without bars", () => {
  expect(step(layout, at("a2"), "down").span.name).toBe("b1");
  expect(step(layout, at("b2"), "up").span.name).toBe("a2");
  expect(step(layout, at("a1"), "up").span.name).toBe("a1");
});

test("the first bar in view is where the keyboard comes in", () => {
  const all = { from: 0, to: layout.rows.length, start: 0, end: Number.POSITIVE_INFINITY };

  expect(firstWithin(layout, all)?.span.name).toBe("a1");
  expect(firstWithin(layout, { ...all, from: 2 })?.span.name).toBe("b1");
  expect(firstWithin(layout, { ...all, start: at("a2").span.start })?.span.name).toBe("a2");
  expect(firstWithin(layout, { ...all, end: 0 })).toBeNull();
});
