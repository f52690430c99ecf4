import type { State } from "@holdfast/client/fold";
import { useCallback, useMemo, useRef, useState } from "react";
import type { SessionView } from "./contract.ts";
import type { LiveSession } from "./useLive.ts";

type Shown = Pick<SessionView, "state" | "seq" | "version" | "live" | "markers" | "shownTs">;

interface Past {
  readonly state: State;
  readonly seq: number;
  readonly ts: string | null;
  readonly version: number;
}

export interface Replayed {
  readonly shown: Shown;
  onState(state: State, seq: number, ts?: string | null): void;
}

/** Return what to show: the live state, or with `at` the past one that the replay has reached. */
export function useReplayed(live: LiveSession, at: number | null): Replayed {
  const [past, setPast] = useState<Past | null>(null);
  // Versions of the two never meet: what is shown after a change of sides is drawn anew.
  const steps = useRef(0);
  const onState = useCallback((state: State, seq: number, ts: string | null = null) => {
    steps.current += 1;
    setPast({ state, seq, ts, version: -steps.current });
  }, []);

  const all = live.markers;
  const seq = past?.seq ?? 0;
  // An event is in at most one place of the list: its order is that of the log.
  const before = useMemo(() => all.slice(0, firstAbove(all, seq)), [all, seq]);
  if (at === null || past === null) {
    const { state, version } = live;
    return { shown: { state, seq: state.seq, version, live: at === null, markers: all }, onState };
  }
  const { state, ts, version } = past;
  return { shown: { state, seq, version, live: false, markers: before, shownTs: ts }, onState };
}

function firstAbove(events: SessionView["markers"], seq: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.seq ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
