import { describe, expect, test } from "vitest";
import { Position, StreamBroken } from "../src/position.js";
import type { Frame } from "../src/sse.js";

const counters = () => ({ events: 0, resumes: 0, gaps: 0, duplicates: 0, resets: 0 });
const frame = (seq: number): Frame => ({ id: `${seq}`, data: `{"seq":${seq},"type":"message.delta"}` });

describe("a position", () => {
  test("moves with each event that comes one after the last", () => {
    const position = new Position(4, counters());
    expect(position.take(frame(5))).toMatchObject({ kind: "event", event: { seq: 5 } });
    expect(position.cursor).toBe(5);
  });

  test("drops and counts what was had before", () => {
    const count = counters();
    const position = new Position(4, count);
    expect(position.take(frame(4))).toBeUndefined();
    expect(position.take(frame(1))).toBeUndefined();
    expect(count.duplicates).toBe(2);
    expect(position.cursor).toBe(4);
  });

  test("breaks at a gap, counts it, and stays where it was", () => {
    const count = counters();
    const position = new Position(4, count);
    expect(() => position.take(frame(6))).toThrow(StreamBroken);
    expect(count.gaps).toBe(1);
    expect(position.cursor).toBe(4);
  });

  test("jumps with an id alone, forward only", () => {
    const position = new Position(4, counters());
    expect(position.take({ id: "90" })).toEqual({ kind: "move", seq: 90 });
    expect(position.take({ id: "7" })).toBeUndefined();
    expect(position.take(frame(91))).toMatchObject({ kind: "event" });
  });

  test("goes wherever a reset says, also back", () => {
    const count = counters();
    const position = new Position(500, count);
    const taken = position.take({ id: "12", event: "reset", data: '{"reason":"ahead","head":12}' });
    expect(taken).toEqual({
      kind: "reset",
      reset: { seq: 12, reason: "ahead", details: { reason: "ahead", head: 12 } },
    });
    expect(position.cursor).toBe(12);
    expect(count.resets).toBe(1);
  });

  test("hears control frames without moving, also ones that it doesn't know", () => {
    const position = new Position(3, counters());
    expect(position.take({ event: "caught-up", data: '{"head":3}' })).toMatchObject({ name: "caught-up" });
    expect(position.take({ event: "weather", data: '{"sunny":true}' })).toMatchObject({ name: "weather" });
    expect(position.cursor).toBe(3);
  });

  test("accepts the suffix that a cursor may carry", () => {
    const position = new Position(3, counters());
    expect(position.take({ id: "9-0aff" })).toEqual({ kind: "move", seq: 9 });
  });

  test.each<[string, Frame]>([
    ["an event without an id", { data: '{"seq":4,"type":"x"}' }],
    ["an id that is no cursor", { id: "abc", data: "{}" }],
    ["an event that is not JSON", { id: "4", data: "<html>" }],
    ["an event that is a list", { id: "4", data: "[]" }],
    ["an event of another seq", { id: "4", data: '{"seq":5,"type":"x"}' }],
    ["an event without a type", { id: "4", data: '{"seq":4}' }],
    ["a reset without a position", { event: "reset", data: "{}" }],
    ["a reset that says nothing readable", { id: "1", event: "reset", data: "!" }],
  ])("does not trust %s", (_, bad) => {
    const position = new Position(3, counters());
    expect(() => position.take(bad)).toThrow(StreamBroken);
    expect(position.cursor).toBe(3);
  });
});
