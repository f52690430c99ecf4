import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { ReplayBarProps } from "../contract.ts";
import { type Clock, type Replay, ReplayController } from "./controller.ts";
import { BLOCK } from "./pages.ts";
import { markOf, NOTHING_KNOWN, type Survey, survey } from "./survey.ts";

const CLOCK: Clock = {
  now: () => performance.now(),
  frame: (callback) => {
    const frame = requestAnimationFrame(callback);
    return () => cancelAnimationFrame(frame);
  },
};

/** The address changes at most so often: Safari allows a hundred changes in thirty seconds. */
const ADDRESS_EVERY_MS = 400;

const NOTHING: Replay = {
  ...{ seq: null, target: null, head: 0, state: null, event: null, ts: null, before: null, after: null },
  ...{ playing: false, speed: 1, loading: false, error: null },
};
const nothing = (): Replay => NOTHING;
const never = (): (() => void) => () => undefined;

/** A controller for a session, and what it shows. */
export function useReplay({ client, sessionId, minSeq, head }: ReplayBarProps): {
  controller: ReplayController | null;
  replay: Replay;
} {
  const [controller, setController] = useState<ReplayController | null>(null);
  const known = head > 0;
  // The head moves all the time and is told below; what counts here is that there is one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    if (!known) return;
    const made = new ReplayController({ client, sessionId, minSeq: Math.max(minSeq, 1), head, clock: CLOCK });
    setController(made);
    return () => {
      made.close();
      setController(null);
    };
  }, [client, sessionId, minSeq, known]);
  useEffect(() => controller?.setHead(head), [controller, head]);
  const replay = useSyncExternalStore(controller?.subscribe ?? never, controller?.get ?? nothing);
  return { controller, replay };
}

/** Keep controller, page and address together: what one asks for the others follow. Returns what starts a move. */
export function useFollow(
  props: ReplayBarProps,
  controller: ReplayController | null,
  replay: Replay,
): (move: (controller: ReplayController) => void) => void {
  const { at, onAt, onState } = props;
  const live = at === null;
  const told = useRef<number | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const latest = useRef(props);
  latest.current = props;

  // Somebody else moved: a link, the inspector, the back button.
  useEffect(() => {
    if (!controller) return;
    if (at === null) {
      controller.leave();
      told.current = null;
      return;
    }
    const { target } = controller.get();
    // A new controller has been nowhere yet, whatever the one before it told.
    if (target === null || (at !== told.current && at !== target)) controller.seek(at);
  }, [controller, at]);

  useEffect(() => {
    if (!live && replay.state !== null && replay.seq !== null) onState(replay.state, replay.seq, replay.ts);
  }, [live, replay.state, replay.seq, replay.ts, onState]);

  const { target } = replay;
  useEffect(() => {
    if (live || target === null || target === told.current || timer.current !== null) return;
    timer.current = setTimeout(() => {
      timer.current = null;
      const now = controller?.get().target ?? null;
      if (now === null || latest.current.at === null) return;
      told.current = now;
      latest.current.onAt(now);
    }, ADDRESS_EVERY_MS);
  }, [live, target, controller]);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    },
    [],
  );

  return (move) => {
    if (!controller) return;
    move(controller);
    if (!live) return;
    // From the present into the past: the page has to know at once.
    told.current = controller.get().target ?? controller.get().head;
    onAt(told.current);
  };
}

/** What is where in the log, as far as it was looked at; new events are added as they come. */
export function useSurvey(props: ReplayBarProps, controller: ReplayController | null): Survey {
  const { client, sessionId, minSeq, head } = props;
  const [known, setKnown] = useState<Survey>(NOTHING_KNOWN);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the head at the beginning is what is surveyed
  useEffect(() => {
    if (!controller) return;
    const abort = new AbortController();
    const options = { client, sessionId, minSeq: Math.max(minSeq, 1), head, pages: controller.pages };
    void survey({ ...options, signal: abort.signal, onSurvey: setKnown });
    return () => abort.abort();
  }, [controller, client, sessionId, minSeq]);
  useTail(known, head, controller, setKnown);
  return known;
}

/** A live session's newest events are read for the picture once in a while, not one by one. */
const TAIL_EVERY_MS = 2_000;

/** 20,000 marks of 60 bytes; a session that grows beyond is surveyed anew when the page is opened again. */
const MARKS_MAX = 20_000;

function useTail(
  known: Survey,
  head: number,
  controller: ReplayController | null,
  setKnown: (change: (known: Survey) => Survey) => void,
): void {
  const last = known.marks.at(-1)?.seq ?? 0;
  const behind = known.done && known.whole && head > last && known.marks.length < MARKS_MAX;
  useEffect(() => {
    if (!behind || !controller) return;
    let dropped = false;
    const timer = setTimeout(async () => {
      const until = controller.get().head;
      const events = await controller.pages
        .read(Math.min(until, Math.ceil((last + 1) / BLOCK) * BLOCK))
        .catch(() => []);
      if (dropped) return;
      setKnown((now) => {
        const end = now.marks.at(-1)?.seq ?? 0;
        const added = events.filter(({ seq }) => seq > end).map((event) => markOf(event));
        return added.length > 0 ? { ...now, marks: [...now.marks, ...added] } : now;
      });
    }, TAIL_EVERY_MS);
    return () => {
      dropped = true;
      clearTimeout(timer);
    };
  }, [behind, last, controller, setKnown]);
}
