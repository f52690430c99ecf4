/** What becomes of an answer: a small machine, so that a form can't be sent twice or after its time. */

import { HoldfastError } from "@holdfast/client";

export type Phase =
  /** It can be filled in and sent. */
  | { readonly name: "open" }
  | { readonly name: "sending" }
  /** The gateway took it; the log will tell. */
  | { readonly name: "sent" }
  /** Nothing can be answered any more. */
  | { readonly name: "closed"; readonly why: string };

export const OPEN: Phase = { name: "open" };

/** Codes after which no other try helps, and what they mean to the one who answered. */
const CLOSED: ReadonlyMap<string, string> = new Map([
  ["input-answered", "Somebody else answered first; that answer counts."],
  ["input-unknown", "The run no longer asks this."],
  ["run-ended", "The run has ended; it needs no answer any more."],
  ["session-gone", "The session is over; it needs no answer any more."],
]);

/** Return the phase after the gateway's refusal; null when it may be tried again, with another value or later. */
export function afterRefusal(error: unknown): Phase | null {
  if (!(error instanceof HoldfastError)) return null;
  const why = CLOSED.get(error.code);
  return why === undefined ? null : { name: "closed", why };
}

/** What is left until a deadline. */
export interface TimeLeft {
  readonly over: boolean;
  readonly ms: number;
  /** The last minutes, when it should be seen. */
  readonly soon: boolean;
}

const SOON_MS = 5 * 60_000;

/** Return what is left at `now`; null without a deadline. */
export function timeLeft(deadline: string | null, now: number): TimeLeft | null {
  const at = deadline === null ? Number.NaN : Date.parse(deadline);
  if (Number.isNaN(at)) return null;
  const ms = Math.max(at - now, 0);
  return { over: ms === 0, ms, soon: ms < SOON_MS };
}

/** Return whether an answer can be given now, and if not, why. */
export function hindrance(phase: Phase, left: TimeLeft | null, live: boolean): string | null {
  if (phase.name === "closed") return phase.why;
  if (phase.name === "sent") return "Answered. The run goes on in a moment.";
  if (!live) return "This is the past: go back to live to answer.";
  if (left?.over) return "The time to answer is over.";
  return null;
}
