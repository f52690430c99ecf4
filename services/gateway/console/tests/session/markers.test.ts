import type { Client, HoldfastEvent } from "@holdfast/client";
import { describe, expect, test, vi } from "vitest";
import { Batches } from "../../src/session/batches.ts";
import { MARKERS_MAX } from "../../src/session/contract.ts";
import { fileName } from "../../src/session/download.ts";
import { Markers } from "../../src/session/markers.ts";
import { Gateway, Log } from "./log.ts";

function markersOf(log: Log) {
  const gateway = new Gateway(log);
  return { gateway, markers: new Markers(gateway as unknown as Client, "ses_1") };
}

const stages = (count: number) => {
  const log = new Log();
  for (let n = 1; n <= count; n += 1) {
    log.add("message.delta", { data: { message_id: "m", text: "x" } });
    log.add("stage.changed", { data: { to: `stage ${n}` } });
  }
  return log;
};

const seqs = (events: readonly HoldfastEvent[]) => events.map((event) => event.seq);

describe("markers", () => {
  test("those that were there come page by page, those of other types don't", async () => {
    const log = stages(700);
    const { markers } = markersOf(log);

    markers.load(1);
    await vi.waitFor(() => expect(markers.all).toHaveLength(700));

    expect(markers.all.every((event) => event.type === "stage.changed")).toBe(true);
  });

  test("one that comes while they are read is kept once, in its place", async () => {
    const log = stages(5);
    const { markers } = markersOf(log);

    markers.load(1);
    markers.add(log.events.slice(-2));
    log.add("stage.changed", { data: { to: "later" } });
    markers.add(log.events.slice(-1));
    await vi.waitFor(() => expect(markers.all.length).toBeGreaterThanOrEqual(6));

    expect(seqs(markers.all)).toEqual([2, 4, 6, 8, 10, 11]);
  });

  test("only the newest are kept", () => {
    const { markers } = markersOf(new Log());

    markers.add(stages(MARKERS_MAX + 10).events);

    expect(markers.all).toHaveLength(MARKERS_MAX);
    expect(markers.all[0]?.seq).toBe(22);
  });

  test("the page lives without those that can't be read", async () => {
    const { gateway, markers } = markersOf(stages(2));
    gateway.failing = new Error("away");

    markers.load(1);
    await vi.waitFor(() => expect(gateway.asked).toHaveLength(1));
    markers.add(stages(1).events);

    expect(seqs(markers.all)).toEqual([2]);
  });

  test("listeners see another list when there is something new, and the same when there isn't", () => {
    const { markers } = markersOf(new Log());
    const told = vi.fn();
    markers.subscribe(told);
    const before = markers.all;

    markers.add(Log.talk(3).events.filter((event) => event.type === "message.delta"));
    expect(markers.all).toBe(before);
    markers.add(stages(1).events);

    expect(markers.all).not.toBe(before);
    expect(told).toHaveBeenCalledTimes(1);
  });
});

describe("batches", () => {
  test("what comes in one turn is told at once, in order", async () => {
    const batches = new Batches("ses_1");
    const told = vi.fn();
    batches.subscribe(told);

    for (const event of Log.talk(3).events) batches.add(event);
    await Promise.resolve();

    expect(told.mock.calls.map(([events]) => seqs(events))).toEqual([[1, 2, 3, 4, 5, 6, 7]]);
  });

  test("another session's events are nobody's here", async () => {
    const batches = new Batches("ses_2");
    const told = vi.fn();
    batches.subscribe(told);

    for (const event of Log.talk(1).events) batches.add(event);
    await Promise.resolve();

    expect(told).not.toHaveBeenCalled();
  });
});

describe("names of files", () => {
  test.each([
    ["report.md", "report.md"],
    ["../../etc/passwd", "_.._etc_passwd"],
    ["a\\b:c*d?.txt", "a_b_c_d_.txt"],
    ["invoice\u202Efdp.exe", "invoice_fdp.exe"],
    ["...", "file"],
    ["\u0000", "_"],
  ])("%j is saved as %j", (name, saved) => {
    expect(fileName(name)).toBe(saved);
  });

  test("a long name keeps its end", () => {
    expect(fileName(`${"x".repeat(500)}.pdf`)).toMatch(/^x{116}\.pdf$/);
  });
});
