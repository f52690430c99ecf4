/** Bars of a timeline: what one entry looks like on it, and which bars lie above each other. */

import type { Agent, LlmCall, Run, Step, ToolCall } from "../fold/entries.js";

/** What each kind of bar stands for. */
export interface Barred {
  run: Run;
  agent: Agent;
  step: Step;
  model: LlmCall;
  tool: ToolCall;
}

export type BarKind = keyof Barred;

/** From `start` to `end`, in milliseconds since 1970; `end` is null while it goes on. */
export interface Span {
  readonly start: number;
  readonly end: number | null;
}

/** Look at `kind`, and `entry` has its type. */
export type Bar = {
  [kind in BarKind]: Span & {
    readonly kind: kind;
    /** For good, and of this bar alone: React's `key`. */
    readonly key: string;
    readonly label: string;
    readonly status: string;
    /** Which try, where that is known; 2 and more: it was taken over or tried again. */
    readonly attempt: number | null;
    /** From 0. Steps that overlap are on different tracks, calls on those below; an agent lies behind its steps. */
    readonly track: number;
    readonly entry: Barred[kind];
  };
}[BarKind];

const ENDED = new Set(["completed", "failed", "cancelled"]);

/** The bar of an entry; one that was closed by the end of its run ends with it. */
export function barOf<K extends BarKind>(kind: K, entry: Barred[K], id: string, runEnd: string | null): Bar {
  const loose = entry as Partial<Step & Run & LlmCall> & { ts: string; status: string };
  const start = Date.parse(loose.ts);
  const told = loose.ended_ts ?? null;
  const lasted = loose.duration_ms ?? null;
  let end: number | null = null;
  if (told !== null) end = Date.parse(told);
  else if (ENDED.has(loose.status))
    end = lasted === null ? (runEnd === null ? start : Date.parse(runEnd)) : start + lasted;
  return {
    ...{ kind, key: `${kind} ${id}`, label: loose.name ?? loose.workflow ?? loose.model ?? "", status: loose.status },
    ...{ attempt: loose.attempt ?? null, track: 0, entry, start, end: end === null ? null : Math.max(start, end) },
  } as unknown as Bar;
}

/**
 * The bars in order of their start, each on the first track that is free: steps from track 0, calls on those below the
 * steps, agents behind it all.
 */
export function laid(bars: readonly Bar[]): { bars: Bar[]; tracks: number } {
  const sorted = [...bars].sort((a, b) => a.start - b.start);
  const last = Math.max(...sorted.map((bar) => bar.end ?? Number.POSITIVE_INFINITY));
  const agents = sorted.filter((bar) => bar.kind === "agent");
  const [steps, stepTracks] = onTracks(sorted.filter((bar) => bar.kind === "step" || bar.kind === "run"));
  const [calls, callTracks] = onTracks(
    sorted.filter((bar) => bar.kind === "model" || bar.kind === "tool"),
    stepTracks,
  );
  // An agent's entry tells how long its latest turn took, not when that began: it lasts as long as what it did.
  const behind = agents.map((bar) => (bar.end !== null && Number.isFinite(last) ? { ...bar, end: last } : bar));
  return { bars: [...behind, ...steps, ...calls], tracks: Math.max(1, stepTracks + callTracks) };
}

function onTracks(bars: readonly Bar[], first = 0): [bars: Bar[], tracks: number] {
  const ends: number[] = [];
  const placed = bars.map((bar) => {
    const free = ends.findIndex((end) => end <= bar.start);
    const track = free < 0 ? ends.length : free;
    ends[track] = bar.end ?? Number.POSITIVE_INFINITY;
    return { ...bar, track: first + track };
  });
  return [placed, ends.length];
}
