/** Which of the loaded sessions are shown. */

import type { RunStatus, RunSummary, SessionView } from "@holdfast/client";
import type { Details } from "./details.ts";

export const RUN_FILTERS = ["running", "waiting", "queued", "completed", "failed", "cancelled"] as const;

export interface Wanted {
  /** Found in the session's id, its workflow or its metadata's texts. */
  readonly text: string;
  /** The status of its latest run. */
  readonly run: RunStatus | null;
}

/** A session and what is known of its latest run: undefined while that isn't known, null when it has none. */
export interface Row {
  readonly session: SessionView;
  readonly latest: RunSummary | null | undefined;
}

/** Return a session's name for people, if its metadata holds one. */
export function titleOf(session: SessionView): string | null {
  for (const key of ["title", "name"]) {
    const value = session.metadata[key];
    if (typeof value === "string" && value.trim() !== "") return value;
  }
  return null;
}

/** Return the rows of sessions. */
export function rowsOf(sessions: readonly SessionView[], details: Details): readonly Row[] {
  return sessions.map((session) => {
    const runs = details.get(session.session_id)?.runs;
    return { session, latest: session.status === "erased" ? null : runs === undefined ? undefined : (runs[0] ?? null) };
  });
}

/** Return the rows that are wanted. */
export function filtered(rows: readonly Row[], wanted: Wanted): readonly Row[] {
  const text = wanted.text.trim().toLowerCase();
  return rows.filter(({ session, latest }) => {
    if (wanted.run !== null && latest?.status !== wanted.run) return false;
    if (text === "") return true;
    const places = [session.session_id, titleOf(session) ?? "", latest?.workflow ?? "", latest?.run_id ?? ""];
    return places.some((place) => place.toLowerCase().includes(text));
  });
}

/** Return how many rows each status of a run has. */
export function counted(rows: readonly Row[]): ReadonlyMap<RunStatus, number> {
  const counts = new Map<RunStatus, number>();
  for (const { latest } of rows) if (latest) counts.set(latest.status, (counts.get(latest.status) ?? 0) + 1);
  return counts;
}

// The gateway's own rule for ids.
const ID = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;

/** Tell whether a text could be a session's id. */
export function isId(text: string): boolean {
  return ID.test(text);
}
