import type { Counters } from "@holdfast/client";
import { useEffect, useState } from "react";
import type { ProofPanelProps } from "../contract.ts";
import type { Episode } from "./episodes.ts";
import type { LatencyStats } from "./latency.ts";
import { type ProofRecorder, recorderOf } from "./recorder.ts";

/** Numbers that change with every event are read a few times a second. */
const SHOW_EVERY_MS = 500;

export interface Proof {
  readonly episodes: readonly Episode[];
  readonly latency: LatencyStats | null;
  readonly counters: Readonly<Counters>;
  readonly cursor: number;
  /** Since when the state is what it is; null until there is a connection. */
  readonly since: number | null;
  readonly recorder: ProofRecorder | null;
}

/** Time a connection's events for as long as the calling component is mounted; one such component is enough. */
export function useRecording({ connection, onEvents }: Pick<ProofPanelProps, "connection" | "onEvents">): void {
  useEffect(() => {
    if (connection) return onEvents((events) => recorderOf(connection).received(events));
  }, [connection, onEvents]);
}

/** What can be told of a connection, read again a few times a second while the page is seen. */
export function useProof({ connection, counters }: Pick<ProofPanelProps, "connection" | "counters">): Proof {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setTick((tick) => tick + 1);
    }, SHOW_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const recorder = connection && recorderOf(connection);
  return {
    recorder,
    episodes: recorder?.episodes ?? [],
    latency: recorder?.latency ?? null,
    // The connection counts on between renders.
    counters: connection?.counters ?? counters,
    cursor: connection?.cursor ?? 0,
    since: recorder?.since || null,
  };
}
