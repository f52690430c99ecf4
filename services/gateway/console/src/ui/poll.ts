import { useEffect, useRef } from "react";

/** After each failure in a row the pause doubles, up to eight times its length. */
export const SLOWER_MAX = 8;

/**
 * Ask again and again while the page is seen, at once when it is seen again. `ask` returns whether it got an answer;
 * it is never asked twice at a time. Another `key` begins anew.
 */
export function usePoll(ask: (signal: AbortSignal) => Promise<boolean>, everyMs: number, key: string): void {
  const latest = useRef(ask);
  useEffect(() => {
    latest.current = ask;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another key is another question
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    let slower = 1;
    const again = async () => {
      clearTimeout(timer);
      if (asking || ended.signal.aborted || document.hidden) return;
      asking = true;
      const answered = await latest.current(ended.signal);
      asking = false;
      if (ended.signal.aborted) return;
      slower = answered ? 1 : Math.min(SLOWER_MAX, slower * 2);
      timer = setTimeout(again, everyMs * slower);
    };
    const now = () => void again();
    void again();
    document.addEventListener("visibilitychange", now);
    addEventListener("online", now);
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", now);
      removeEventListener("online", now);
    };
  }, [everyMs, key]);
}
