/** The sessions that are shown: the newest, kept up to date, and older ones as they are asked for. */

import type { SessionStatus, SessionView } from "@holdfast/client";
import { useCallback, useEffect, useState } from "react";
import { useClient } from "../app/client.ts";
import { usePoll } from "../ui/poll.ts";

const PAGE = 50;

// The most that one call gives: of a longer list the newest 200 are kept up to date, which are those that change.
const REFRESHED_MAX = 200;

const EVERY_MS = 3_000;
const PATIENCE_MS = 10_000;

export interface SessionsShown {
  /** Newest first; null until the first answer. */
  readonly items: readonly SessionView[] | null;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  /** Why the list isn't up to date, if it isn't. */
  readonly problem: string | null;
  loadMore(): void;
  refresh(): void;
}

interface Pages {
  readonly items: readonly SessionView[] | null;
  readonly cursor: string | null;
  /** How many somebody asked to see. */
  readonly wanted: number;
}

const NONE: Pages = { items: null, cursor: null, wanted: PAGE };

/** Keep a list of sessions, of one status if it is given. */
export function useSessions(status: SessionStatus | null): SessionsShown {
  const client = useClient();
  const [pages, setPages] = useState<Pages>(NONE);
  const [problem, setProblem] = useState<string | null>(null);
  const [loadingMore, setLoadingMore] = useState(false);
  const [asked, setAsked] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another status is another list
  useEffect(() => setPages(NONE), [status]);

  const query = status === null ? {} : { status };
  const ask = async (signal: AbortSignal): Promise<boolean> => {
    const limit = Math.min(REFRESHED_MAX, pages.wanted);
    try {
      const page = await client.sessions({ ...query, limit }, { signal: patient(signal) });
      if (signal.aborted) return true;
      setPages((before) => refreshed(before, page.items, page.next_cursor));
      setProblem(null);
      return true;
    } catch (error) {
      if (!signal.aborted) setProblem(sentence(error));
      return false;
    }
  };
  usePoll(ask, EVERY_MS, `${status ?? ""} ${asked}`);

  const { cursor } = pages;
  const loadMore = useCallback(async () => {
    if (cursor === null) return;
    setLoadingMore(true);
    try {
      const page = await client.sessions({ ...(status ? { status } : {}), limit: PAGE, cursor });
      setPages((before) => {
        const wanted = before.wanted + PAGE;
        // New sessions have moved the place where this page begins: the next look at the list brings it.
        if (before.cursor !== cursor) return { ...before, wanted };
        return { items: joined(before.items ?? [], page.items), cursor: page.next_cursor, wanted };
      });
    } catch (error) {
      setProblem(sentence(error));
    } finally {
      setLoadingMore(false);
    }
  }, [client, cursor, status]);

  const refresh = useCallback(() => setAsked((times) => times + 1), []);
  return { items: pages.items, hasMore: cursor !== null, loadingMore, problem, loadMore, refresh };
}

/**
 * Put the newest sessions in the place of those that were known. Older ones stay where they are only if somebody asked
 * for more than one call brings: a page that is left open for weeks holds no more than it was asked to.
 */
export function refreshed(before: Pages, newest: readonly SessionView[], cursor: string | null): Pages {
  const { wanted } = before;
  const known = before.items ?? [];
  const last = newest[newest.length - 1];
  const at = known.findIndex((session) => session.session_id === last?.session_id);
  // What is older than the page stays; what the page should have held and didn't is gone.
  const older = cursor === null || at < 0 || wanted <= REFRESHED_MAX ? [] : known.slice(at + 1);
  return { items: [...newest, ...older], cursor: older.length > 0 ? before.cursor : cursor, wanted };
}

function joined(before: readonly SessionView[], page: readonly SessionView[]): readonly SessionView[] {
  const known = new Set(before.map((session) => session.session_id));
  return [...before, ...page.filter((session) => !known.has(session.session_id))];
}

function patient(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
}

/** Return what went wrong in a sentence for people. */
export function sentence(error: unknown): string {
  const known = error as { name?: string; code?: string };
  if (known.name === "TimeoutError" || known.name === "AbortError" || known.code === "unreachable") {
    return "The gateway doesn't answer.";
  }
  return error instanceof Error ? error.message : String(error);
}
