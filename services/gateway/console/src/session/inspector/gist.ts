/** An event in a few words, for one line of a list. */

import type { HoldfastEvent } from "@holdfast/client";
import { summary } from "../conversation/summary.ts";

/** A lane's colour, as dark or as light as text has to be. */
const lane = (number: number) => `color-mix(in srgb, var(--lane-${number}) 76%, var(--text))`;

/** Families and their colours: kinds of work stand apart, the bookkeeping stays grey. */
const COLOURS: ReadonlyMap<string, string> = new Map([
  ["session", "var(--text-muted)"],
  ["run", "var(--accent)"],
  ["input", "var(--status-waiting)"],
  ["stage", lane(2)],
  ["step", lane(8)],
  ["agent", lane(6)],
  ["llm", lane(5)],
  ["message", lane(1)],
  ["reasoning", lane(4)],
  ["tool", lane(3)],
  ["plan", lane(7)],
  ["task", lane(7)],
  ["component", lane(2)],
  ["artifact", lane(2)],
  ["custom", lane(4)],
]);

export const FAMILIES: readonly string[] = [
  ...["run", "input", "stage", "step", "agent", "llm", "message", "reasoning", "tool", "plan", "task", "component"],
  ...["notification", "progress", "artifact", "state", "checkpoint", "command", "session", "middleware", "custom"],
];

export function familyOf(type: string): string {
  const dot = type.indexOf(".");
  return dot === -1 ? type : type.slice(0, dot);
}

/** Return the colour of a type's family; what went wrong has its own. */
export function colourOfType(type: string): string {
  if (type.endsWith(".failed") || type === "command.rejected") return "var(--status-failed)";
  if (type.endsWith(".retrying") || type.endsWith(".restarted") || type === "run.resumed")
    return "var(--status-stalled)";
  return COLOURS.get(familyOf(type)) ?? "var(--text-faint)";
}

/** What of an event's data says most, in this order. */
const TELLING = ["text", "error", "prompt", "name", "content", "to", "title", "workflow", "label", "value", "result"];

/** Return what an event says, on one line. */
export function gist(event: HoldfastEvent): string {
  const data: Readonly<Record<string, unknown>> = { ...event.data };
  if (event.type === "tool.started") return `${String(data.name)}(${summary(data.args)})`;
  if (event.type === "progress.updated") {
    const percent = typeof data.fraction === "number" ? `${Math.round(data.fraction * 100)} %` : "";
    return `${percent} ${typeof data.label === "string" ? data.label : ""}`.trim();
  }
  for (const key of TELLING) {
    const value = data[key];
    if (value === undefined || value === null) continue;
    if (key === "error") return summary((value as { readonly message?: unknown }).message ?? value);
    // With a name, what came of it says more.
    if (key === "name" && data.result !== undefined) return `${String(value)} → ${summary(data.result)}`;
    return summary(value);
  }
  return summary(data);
}
