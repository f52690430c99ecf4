import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { SLOWER_MAX } from "../../ui/poll.ts";
import { type Filter, type Found, isEmpty, search } from "./search.ts";
import type { ReadPage } from "./wire.ts";

export interface Searching extends Found {
  readonly busy: boolean;
  readonly error: string | null;
}

const NOTHING: Searching = { matches: [], through: 0, full: false, busy: false, error: null };

/** What has come since is looked at this often: a search costs the gateway a page. */
export const FOLLOW_MS = 1_000;

/** Return what a filter finds between `minSeq` and `head`: page by page, then whatever comes. Failures make it slower. */
export function useSearch(read: ReadPage, filter: Filter, minSeq: number, head: number): Searching {
  const [found, setFound] = useState<Searching>(NOTHING);
  const latest = useRef(head);
  useLayoutEffect(() => {
    latest.current = head;
  });

  useEffect(() => {
    setFound(NOTHING);
    if (isEmpty(filter)) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let slower = 1;
    let last: Found = { matches: [], through: minSeq - 1, full: false };
    const look = async () => {
      const until = latest.current;
      if (last.through < until && !last.full) {
        const range = { after: last.through, until };
        const tell = (next: Found) => {
          last = next;
          if (!stop.signal.aborted) setFound({ ...next, busy: next.through < until && !next.full, error: null });
        };
        try {
          setFound((now) => ({ ...now, busy: true }));
          await search(read, filter, range, stop.signal, tell, last.matches);
          slower = 1;
          if (!stop.signal.aborted) setFound((now) => ({ ...now, busy: false, error: null }));
        } catch (error) {
          if (stop.signal.aborted) return;
          slower = Math.min(SLOWER_MAX, slower * 2);
          const said = error instanceof Error ? error.message : String(error);
          setFound((now) => ({ ...now, busy: false, error: said }));
        }
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void look(), FOLLOW_MS * slower);
    };
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [read, filter, minSeq]);

  return found;
}
