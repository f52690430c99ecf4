import { describe, expect, test } from "vitest";
import { BAR_MIN_PX, boxesOf, type Projection } from "../../../src/session/timeline/boxes.ts";
import { clock } from "../../../src/session/timeline/format.ts";
import { WorkerClock } from "../../../src/session/timeline/nowclock.ts";
import { scaleOf, union } from "../../../src/session/timeline/scale.ts";
import type { Span } from "../../../src/session/timeline/spans.ts";
import { ticksOf } from "../../../src/session/timeline/ticks.ts";
import { FIT, lookOf, panned, revealing, whole, windowOf, zoomed } from "../../../src/session/timeline/window.ts";

const HOUR = 3_600_000;
const plain = (end: number) => scaleOf([[0, end]], 0, end);

function span(id: string, start: number, end: number | null, status: Span["status"] = "completed"): Span {
  return {
    ...{ id, kind: "step", name: id, status, start, end, runId: "r", agent: null, lane: null, attempt: 1, tries: 1 },
    ...{ error: null, note: null, parts: [], target: { kind: "step", run_id: "r", key: id } },
  };
}

describe("the scale", () => {
  test("without silences time is drawn as it is", () => {
    const scale = plain(10_000);

    expect(scale.length).toBe(10_000);
    expect(scale.toDrawn(4_000)).toBe(4_000);
  });

  test("a long silence becomes a short break, and both directions agree", () => {
    const scale = scaleOf(
      [
        [0, 4_000],
        [HOUR, HOUR + 4_000],
      ],
      0,
      HOUR + 4_000,
    );

    expect(scale.breaks).toHaveLength(1);
    expect(scale.length).toBeLessThan(10_000);
    for (const time of [0, 1_234, 4_000, HOUR / 2, HOUR, HOUR + 2_000, HOUR + 4_000]) {
      expect(scale.toTime(scale.toDrawn(time))).toBeCloseTo(time, 3);
    }
  });

  test("later is never drawn before earlier", () => {
    const scale = scaleOf(
      [
        [0, 10],
        [50_000, 50_010],
        [90_000, 99_000],
      ],
      0,
      200_000,
    );

    let last = Number.NEGATIVE_INFINITY;
    for (let time = 0; time <= 200_000; time += 500) {
      expect(scale.toDrawn(time)).toBeGreaterThanOrEqual(last);
      last = scale.toDrawn(time);
    }
  });

  test("a second in between is part of the work", () => {
    expect(
      scaleOf(
        [
          [0, 4_000],
          [5_000, 9_000],
        ],
        0,
        9_000,
      ).breaks,
    ).toEqual([]);
  });

  test("overlapping times are one", () => {
    expect(
      union(
        [
          [5, 9],
          [0, 3],
          [2, 4],
          [20, 30],
        ],
        1,
        25,
      ),
    ).toEqual([
      [1, 4],
      [5, 9],
      [20, 25],
    ]);
  });
});

describe("the window", () => {
  test("what is under the pointer stays there while zooming", () => {
    const scale = plain(10_000);
    const view = whole(scale);
    const under = view.from + (view.to - view.from) * 0.3;

    const closer = zoomed(view, 0.5, 0.3, scale);

    expect(closer.from + (closer.to - closer.from) * 0.3).toBeCloseTo(under);
    expect(closer.to - closer.from).toBeCloseTo((view.to - view.from) / 2);
  });

  test("zooming out ends at the whole, which follows what grows", () => {
    const scale = plain(10_000);

    const view = zoomed(zoomed(whole(scale), 0.1, 0.5, scale), 1_000, 0.5, scale);

    expect(lookOf(view, scale)).toEqual(FIT);
    expect(windowOf(FIT, plain(20_000)).to).toBeGreaterThan(20_000);
  });

  test("panning ends at the edges", () => {
    const scale = plain(10_000);
    const view = zoomed(whole(scale), 0.5, 0, scale);

    expect(panned(view, -5, scale).from).toBe(whole(scale).from);
    expect(panned(view, 50, scale).to).toBeCloseTo(whole(scale).to);
  });

  test("what is out of view is revealed, what is in view moves nothing", () => {
    const scale = plain(10_000);
    const view = zoomed(whole(scale), 0.2, 0, scale);

    expect(revealing(view, 100, 200, scale)).toBe(view);
    const moved = revealing(view, 8_000, 8_100, scale);
    expect(moved.from).toBeLessThan(8_000);
    expect(moved.to).toBeGreaterThan(8_100);
  });

  test("a stretch that is looked at stays where it is while time goes on", () => {
    const look = lookOf({ from: 2_000, to: 4_000 }, plain(10_000));

    expect(windowOf(look, plain(60_000))).toEqual({ from: 2_000, to: 4_000 });
  });
});

describe("bars", () => {
  const projection = (length: number, width: number): Projection => ({
    scale: plain(length),
    view: { from: 0, to: length },
    width,
    now: length,
  });

  test("a bar is where its times are, and knows the room behind it", () => {
    const [first, second] = boxesOf([span("a", 100, 300), span("b", 500, 600)], projection(1_000, 1_000));

    expect(first).toMatchObject({ x: 100, width: 200, room: 200 });
    expect(second).toMatchObject({ x: 500, width: 100, room: 400 });
  });

  test("what goes on reaches to now", () => {
    expect(boxesOf([span("a", 100, null, "running")], projection(1_000, 1_000))[0]?.width).toBe(900);
  });

  test("two thousand bars that nobody could tell apart are few boxes, and none is lost or hides a failure", () => {
    const spans = Array.from({ length: 2_000 }, (_, at) =>
      span(`s${at}`, at * 10, at * 10 + 9, at === 777 ? "failed" : "completed"),
    );

    const boxes = boxesOf(spans, projection(20_000, 800));

    expect(boxes.length).toBeLessThan(800 / BAR_MIN_PX);
    expect(boxes.reduce((sum, box) => sum + box.count, 0)).toBe(2_000);
    expect(boxes.some((box) => box.failed)).toBe(true);
  });

  test("the bar with the focus is never merged away", () => {
    const spans = Array.from({ length: 100 }, (_, at) => span(`s${at}`, at * 10, at * 10 + 1));

    const boxes = boxesOf(spans, projection(1_000, 100), "s50");

    expect(boxes.find((box) => box.span.id === "s50")).toMatchObject({ count: 1 });
  });

  test("what is out of view has no box", () => {
    const spans = Array.from({ length: 1_000 }, (_, at) => span(`s${at}`, at * 10, at * 10 + 8));
    const near: Projection = { ...projection(10_000, 1_000), view: { from: 5_000, to: 5_100 } };

    expect(boxesOf(spans, near).map((box) => box.span.id)).toEqual(
      Array.from({ length: 11 }, (_, at) => `s${500 + at}`),
    );
  });
});

describe("the axis", () => {
  test("marks are whole steps apart and far enough to read", () => {
    const scale = plain(10_000);

    const ticks = ticksOf(scale, { from: 0, to: 10_000 }, 1_000);

    expect(ticks.map(({ x }) => Math.round(x))).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
    expect(new Set(ticks.map(({ label }) => label)).size).toBe(ticks.length);
  });

  test("there is no mark within a break", () => {
    const scale = scaleOf(
      [
        [0, 4_000],
        [HOUR, HOUR + 4_000],
      ],
      0,
      HOUR + 4_000,
    );
    const view = { from: 0, to: scale.length };
    const [gap] = scale.breaks;

    const inside = ticksOf(scale, view, 1_000).filter(({ kind, x }) => {
      const at = (x / 1_000) * scale.length;
      return kind === "time" && gap !== undefined && at > gap.from + 1 && at < gap.to - 1;
    });

    expect(inside).toEqual([]);
  });

  test("a moment is told as exactly as its marks need it", () => {
    const time = new Date(2026, 10, 21, 9, 5, 7, 42).getTime();

    expect([60_000, 1_000, 100, 1].map((step) => clock(time, step))).toEqual([
      "09:05",
      "09:05:07",
      "09:05:07.0",
      "09:05:07.042",
    ]);
  });
});

describe("the worker's time", () => {
  test("is this machine's where the two agree", () => {
    const worker = new WorkerClock();
    worker.saw(1_000, 1_000, true);

    expect(worker.at(5_000)).toBe(5_000);
  });

  test("is corrected by what arrives live, where they don't", () => {
    const worker = new WorkerClock();
    worker.saw(1_000, 61_080, true);
    worker.saw(2_000, 62_030, true);
    worker.saw(3_000, 63_900, true); // was under way for longer: says less

    expect(worker.at(70_000)).toBe(70_000 - 60_030);
  });

  test("never goes behind what has happened", () => {
    const worker = new WorkerClock();
    worker.saw(9_000, 8_500, false);

    expect(worker.at(8_600)).toBe(9_000);
  });
});
