import type { ConnectionState, Counters, HoldfastEvent, Status } from "@holdfast/client";
import { describe, expect, test } from "vitest";
import { EPISODES_MAX, EpisodeLog } from "../../../src/session/proof/episodes.ts";
import { LatencyMeter, quantile, SAMPLES_MAX } from "../../../src/session/proof/latency.ts";
import { ProofRecorder, recorderOf } from "../../../src/session/proof/recorder.ts";

describe("delivery times", () => {
  test("the fastest counts as nothing, so that clocks that differ don't matter", () => {
    const meter = new LatencyMeter();
    // The worker's clock is a minute ahead.
    for (const [sent, received] of [
      [61_000, 1_012],
      [62_000, 2_005],
      [63_000, 3_105],
    ] as const)
      meter.add(sent, received);

    expect(meter.stats()).toMatchObject({
      offset: -59_995,
      delays: [7, 0, 100],
      last: 100,
      median: 7,
      most: 100,
      count: 3,
    });
  });

  test("only the last ones are kept", () => {
    const meter = new LatencyMeter();
    meter.add(0, 9_999);
    for (let at = 0; at < SAMPLES_MAX; at++) meter.add(at, at + 5);

    expect(meter.stats()).toMatchObject({ most: 0, count: SAMPLES_MAX + 1 });
    expect(meter.stats()?.delays).toHaveLength(SAMPLES_MAX);
  });

  test("a time that is none is not measured", () => {
    const meter = new LatencyMeter();
    meter.add(Date.parse("soon"), 5);

    expect(meter.stats()).toBeNull();
  });

  test("a quantile is one of the values", () => {
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100];

    expect([0.5, 0.9, 0.95, 1].map((share) => quantile(values, share))).toEqual([5, 9, 100, 100]);
    expect(quantile([], 0.5)).toBe(0);
  });
});

const NONE: Counters = { events: 0, resumes: 0, gaps: 0, duplicates: 0, resets: 0 };

function status(state: ConnectionState, more: Partial<Status> = {}): Status {
  return { state, attempt: 0, ...more };
}

const texts = (log: EpisodeLog) => log.episodes[0]?.lines.map(({ text }) => text);

describe("what a connection went through", () => {
  test("a cut is told from the cut to the balance", () => {
    const log = new EpisodeLog();
    log.observe({ status: status("live"), counters: { ...NONE, events: 7 }, cursor: 120 }, 0);
    log.cut({ status: status("live"), counters: { ...NONE, events: 7 }, cursor: 120 }, 1_000);
    log.observe({ status: status("waiting", { retryInMs: 320 }), counters: NONE, cursor: 120 }, 1_002);
    // What had come and was not handed on yet is kept.
    log.observe({ status: status("connecting"), counters: NONE, cursor: 122 }, 1_322);
    log.observe({ status: status("catching-up"), counters: { ...NONE, events: 9, resumes: 1 }, cursor: 122 }, 1_330);
    log.observe({ status: status("live"), counters: { ...NONE, events: 21, resumes: 1 }, cursor: 134 }, 1_340);

    expect(texts(log)).toEqual([
      "cut at seq 120",
      "reconnecting in 320 ms",
      "asking for all after 122",
      "resumed after seq 122",
      "caught up at 134: 14 events came meanwhile, 0 missed, 0 twice",
    ]);
    expect(log.episodes[0]).toMatchObject({ kind: "cut", outcome: "caught up", took: 340 });
  });

  test("a cut while it comes back is part of the same story: no episode stays open for ever", () => {
    const log = new EpisodeLog();
    log.observe({ status: status("live"), counters: NONE, cursor: 5 }, 0);
    log.cut({ status: status("live"), counters: NONE, cursor: 5 }, 10);
    log.observe({ status: status("connecting"), counters: NONE, cursor: 5 }, 20);
    log.cut({ status: status("connecting"), counters: NONE, cursor: 5 }, 30);
    log.observe({ status: status("live"), counters: NONE, cursor: 5 }, 40);

    expect(log.episodes.map(({ outcome }) => outcome)).toEqual(["caught up", "caught up"]);
    expect(texts(log)?.slice(0, 3)).toEqual(["cut at seq 5", "asking for all after 5", "cut at seq 5"]);
  });

  test("a network that goes away is told the same, and what was missed is not hidden", () => {
    const log = new EpisodeLog();
    log.observe({ status: status("live"), counters: NONE, cursor: 5 }, 0);
    log.observe(
      { status: status("waiting", { retryInMs: 500, reason: "the network is away" }), counters: NONE, cursor: 5 },
      10,
    );
    log.observe({ status: status("live"), counters: { ...NONE, events: 3, gaps: 1, duplicates: 2 }, cursor: 8 }, 900);

    expect(log.episodes[0]?.kind).toBe("lost");
    expect(texts(log)).toEqual([
      "lost at seq 5",
      "the network is away; reconnecting in 500 ms",
      "caught up at 8: 3 events came meanwhile, 1 missed, 2 twice",
    ]);
  });

  test("being live and catching up without a loss is no episode", () => {
    const log = new EpisodeLog();
    for (const state of ["connecting", "catching-up", "live", "stalled", "live"] as const) {
      log.observe({ status: status(state), counters: NONE, cursor: 1 }, 0);
    }

    expect(log.episodes.map(({ kind }) => kind)).toEqual(["opened"]);
  });

  test("a clean end is told as one", () => {
    const log = new EpisodeLog();
    log.observe({ status: status("connecting"), counters: NONE, cursor: 0 }, 0);
    log.observe({ status: status("ended", { reason: "the run has ended" }), counters: NONE, cursor: 9 }, 50);

    expect(log.episodes[0]).toMatchObject({ outcome: "ended" });
    expect(texts(log)).toEqual(["following", "the run has ended"]);
  });

  test("a gateway that stays away for a day makes no endless list", () => {
    const log = new EpisodeLog();
    log.observe({ status: status("live"), counters: NONE, cursor: 1 }, 0);
    for (let round = 0; round < 500; round++) {
      log.observe({ status: status("waiting", { retryInMs: 1_000 + round }), counters: NONE, cursor: 1 }, round);
      log.observe({ status: status("connecting"), counters: NONE, cursor: 1 }, round);
    }
    expect(log.episodes[0]?.lines.length).toBeLessThanOrEqual(12);
    expect(texts(log)?.[0]).toBe("lost at seq 1");
    for (let round = 0; round < 50; round++) {
      log.observe({ status: status("live"), counters: NONE, cursor: 1 }, 600);
      log.observe({ status: status("connecting"), counters: NONE, cursor: 1 }, 600);
    }

    expect(log.episodes).toHaveLength(EPISODES_MAX);
  });
});

describe("the recorder", () => {
  function connection() {
    return {
      cursor: 3,
      status: status("live"),
      counters: { ...NONE },
      cuts: 0,
      cut() {
        this.cuts++;
      },
    };
  }
  const event = (seq: number, ts: string) => ({ seq, ts }) as HoldfastEvent;

  test("times what comes live, and not what was caught up with and is handed on late", () => {
    const followed = connection();
    const recorder = new ProofRecorder(followed, () => Date.parse("2026-11-21T09:00:01Z"));
    recorder.observe(status("catching-up"));
    recorder.received([event(1, "2026-11-21T08:00:00Z")]);
    recorder.observe(status("live"));
    recorder.received([event(3, "2026-11-21T08:00:00Z")]);
    expect(recorder.latency).toBeNull();

    recorder.received([event(4, "2026-11-21T09:00:00.900Z"), event(5, "2026-11-21T09:00:00.950Z")]);

    expect(recorder.latency).toMatchObject({ delays: [50, 0], offset: 50 });
  });

  test("cuts, and knows since when things are as they are", () => {
    const followed = connection();
    let now = 1_000;
    const recorder = new ProofRecorder(followed, () => now);
    recorder.observe(status("live"));
    now = 2_000;
    recorder.observe(status("live"));
    expect(recorder.since).toBe(1_000);

    recorder.cut();

    expect(followed.cuts).toBe(1);
    expect(recorder.episodes[0]).toMatchObject({ kind: "cut", cursor: 3 });
  });

  test("tells of no cut where there is nothing to cut", () => {
    const followed = { ...connection(), status: status("waiting", { retryInMs: 9_000 }) };
    const recorder = new ProofRecorder(followed, () => 0);

    recorder.cut();

    expect(followed.cuts).toBe(0);
    expect(recorder.episodes).toEqual([]);
  });

  test("is one for each connection", () => {
    const [one, other] = [connection(), connection()];

    expect(recorderOf(one)).toBe(recorderOf(one));
    expect(recorderOf(one)).not.toBe(recorderOf(other));
  });
});
