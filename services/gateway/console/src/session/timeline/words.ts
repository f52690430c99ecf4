/** What a bar is called, for those who hear it and for those who hover. Pure. */

import { formatDuration } from "../../ui/format.ts";
import { visible } from "../../ui/visible.ts";
import { moment } from "./format.ts";
import type { Span, SpanKind } from "./spans.ts";

export const KINDS: Readonly<Record<SpanKind, string>> = {
  step: "Step",
  llm: "Model call",
  tool: "Tool call",
  message: "Message",
  thought: "Thought",
  agent: "Turn",
  task: "Task",
  wait: "Question",
};

/** Return how long a span took or has been taking. What an attempt lost that had to be done over doesn't count. */
export function lasted(span: Span, now: number): string {
  return formatDuration(endOf(span, now) - redoneAt(span));
}

function endOf(span: Span, now: number): number {
  return span.end ?? Math.max(now, span.start);
}

function redoneAt(span: Span): number {
  return span.parts.findLast((part) => part.kind === "lost")?.end ?? span.start;
}

/** Return a span's status in words: an answered question is not `completed`. */
export function statusOf(span: Span): string {
  if (span.kind !== "wait") return span.status;
  if (span.end === null) return "waiting for a person";
  return span.status === "failed" ? "expired" : "answered";
}

/** Return a name as it can stand in a label or on a bar: on one line, nothing unseen in it. */
export function nameOf(span: Span): string {
  return visible(span.name.replace(/\s+/g, " ").slice(0, 200));
}

/** Return everything of a span in a sentence. The running time is left out: a label that changes is read again. */
export function sentence(span: Span): string {
  const said = [`${KINDS[span.kind]} ${nameOf(span)}`, statusOf(span)];
  if (span.end !== null) said.push(lasted(span, span.end));
  if (span.tries > 1) said.push(`try ${span.tries}`);
  if (span.attempt !== null && span.attempt > 1) said.push(`attempt ${span.attempt}`);
  if (span.error !== null) said.push(visible(span.error.slice(0, 300)));
  return said.join(", ");
}

/** Return the facts of a span, name and value. */
export function factsOf(span: Span, now: number): [string, string][] {
  const facts: [string, string][] = [["Took", lasted(span, now)]];
  if (span.end === null) facts[0] = ["For", lasted(span, now)];
  if (redoneAt(span) > span.start) facts.push(["With what was lost", formatDuration(endOf(span, now) - span.start)]);
  facts.push(["From", moment(span.start)]);
  if (span.end !== null) facts.push(["To", moment(span.end)]);
  if (span.kind !== "agent" && span.agent !== null) facts.push(["Agent", visible(span.agent)]);
  if (span.lane !== null) facts.push(["Branch", visible(span.lane)]);
  if (span.attempt !== null && span.attempt > 1) facts.push(["Attempt", String(span.attempt)]);
  if (span.tries > 1) facts.push(["Tries", String(span.tries)]);
  return facts;
}
