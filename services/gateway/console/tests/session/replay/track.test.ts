import { expect, test } from "vitest";
import { Pages } from "../../../src/session/replay/pages.ts";
import { markOf, type Survey, survey } from "../../../src/session/replay/survey.ts";
import { columnsOf, trackOf } from "../../../src/session/replay/track.ts";
import { Gateway, Log } from "../log.ts";

function surveyOf(log: Log): Survey {
  return { marks: log.events.map((event) => markOf(event)), whole: true, done: true };
}

test("along seqs every event has as much room", () => {
  const log = Log.talk(97);
  const track = trackOf("seq", { minSeq: 1, head: 101, survey: surveyOf(log) });

  expect(track.shareOf(1)).toBe(0);
  expect(track.shareOf(51)).toBe(0.5);
  expect(track.seqAt(1)).toBe(101);
  expect(track.seqAt(track.shareOf(37))).toBe(37);
});

test("along time a place leads back to the last event before it", () => {
  const log = new Log();
  for (const at of [0, 1_000, 1_010, 1_020, 4_000]) log.add("message.delta", { at });
  const track = trackOf("time", { minSeq: 1, head: 5, survey: surveyOf(log) });

  expect(track.shareOf(2)).toBeCloseTo(0.25);
  expect(track.seqAt(0.24)).toBe(1);
  expect(track.seqAt(0.5)).toBe(4);
  expect(track.seqAt(1)).toBe(5);
});

test("along time a night between two runs is a short break", () => {
  const log = new Log();
  for (let at = 0; at < 10; at++) log.add("message.delta", { at: at * 100 });
  for (let at = 0; at < 10; at++) log.add("message.delta", { at: 36_000_000 + at * 100 });
  const track = trackOf("time", { minSeq: 1, head: 20, survey: surveyOf(log) });

  expect(track.shareOf(10)).toBeGreaterThan(0.3);
  expect(track.shareOf(11)).toBeLessThan(0.7);
});

test("before anything is known, time is told by seqs", () => {
  const track = trackOf("time", { minSeq: 1, head: 11, survey: { marks: [], whole: true, done: false } });

  expect(track.axis).toBe("seq");
  expect(track.shareOf(6)).toBe(0.5);
  expect(track.timeAt(6)).toBeNull();
});

test("a column is as high as its events came fast, and made of their kinds", () => {
  const log = new Log();
  for (let at = 0; at < 10; at++) log.add("message.delta", { at: at * 10 });
  for (let at = 1; at <= 10; at++) log.add("step.started", { at: at * 1_000 });
  const known = surveyOf(log);
  const columns = columnsOf(trackOf("seq", { minSeq: 1, head: 20, survey: known }), known, 2);

  expect(columns[0]?.height).toBe(1);
  expect(columns[1]?.height).toBeLessThan(0.5);
  expect(columns.map(({ parts }) => parts[0]?.family)).toEqual(["text", "work"]);
});

test("a short log is looked at whole, a long one in samples that stand for all of it", async () => {
  for (const [pieces, whole] of [
    [1_000, true],
    [9_000, false],
  ] as const) {
    const log = Log.talk(pieces);
    const gateway = new Gateway(log);
    const found: Survey[] = [];
    await survey({
      client: gateway,
      sessionId: "ses_1",
      minSeq: 1,
      head: log.head,
      pages: new Pages(gateway, "ses_1", 1),
      signal: new AbortController().signal,
      onSurvey: (known) => found.push(known),
    });

    const last = found.at(-1);
    const weight = last?.marks.reduce((sum, mark) => sum + mark.weight, 0) ?? 0;
    expect(last).toMatchObject({ whole, done: true });
    expect(weight).toBeCloseTo(log.head, 0);
  }
});
