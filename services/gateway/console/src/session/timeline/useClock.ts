import { useEffect, useRef, useState } from "react";
import { useMedia } from "../../ui/media.ts";
import { WorkerClock } from "./nowclock.ts";

/** Frames of a growing bar: more than six a second nobody sees, and each lays every row out anew. */
const FRAME_MS = 160;

const REDUCED = "(prefers-reduced-motion: reduce)";

/**
 * Return the worker's time. It goes on while `running`, a few times a second and only while the page is seen; for who
 * wants no motion it moves with the events alone.
 */
export function useWorkerTime(latest: number, running: boolean, live: boolean): number {
  const clock = useRef<WorkerClock>(null);
  clock.current ??= new WorkerClock();
  const seen = useRef(0);
  const still = useMedia(REDUCED);
  const [now, setNow] = useState(() => Date.now());

  // The first state may be hours old: it says nothing of clocks.
  if (latest > seen.current) {
    clock.current.saw(latest, Date.now(), live && seen.current > 0);
    seen.current = latest;
  }

  useEffect(() => {
    if (!running || still) return;
    let frame = 0;
    let last = 0;
    const tick = (at: number) => {
      frame = requestAnimationFrame(tick);
      if (at - last < FRAME_MS) return;
      last = at;
      setNow(Date.now());
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [running, still]);

  return clock.current.at(still ? Math.max(now, latest) : now);
}

/** Return a value at most every `everyMs`: the last one always comes. */
export function useThrottled<T>(value: T, everyMs: number): T {
  const [shown, setShown] = useState(value);
  const latest = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const last = useRef(0);
  useEffect(() => {
    latest.current = value;
    const show = () => {
      timer.current = null;
      last.current = performance.now();
      setShown(latest.current);
    };
    if (timer.current !== null) return;
    const wait = last.current + everyMs - performance.now();
    if (wait <= 0) show();
    else timer.current = setTimeout(show, wait);
  }, [value, everyMs]);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    },
    [],
  );
  return shown;
}
