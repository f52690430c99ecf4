import type { ReactNode } from "react";
import { classes } from "./classes.ts";
import "./Badge.css";

/** What a state looks like. Every status of a run is one of them. */
export type Tone = "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled" | "stalled" | "accent";

const TONES: Readonly<Record<string, Tone>> = {
  // of runs
  queued: "queued",
  running: "running",
  waiting: "waiting",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  stalled: "stalled",
  // of sessions
  active: "queued",
  expired: "cancelled",
  erased: "cancelled",
  // of connections
  connecting: "waiting",
  "catching-up": "running",
  live: "completed",
  ended: "cancelled",
};

/** Return the tone of a status of a run, a session, a step or a connection; of one nobody knows, the neutral one. */
export function toneOf(status: string | null | undefined): Tone {
  return TONES[status ?? ""] ?? "queued";
}

interface BadgeProps {
  readonly tone?: Tone;
  /** A dot before the words; `pulse` for what is going on right now. */
  readonly dot?: boolean | "pulse";
  readonly title?: string;
  readonly children: ReactNode;
}

/** A word or two about a state. */
export function Badge({ tone = "queued", dot = false, title, children }: BadgeProps) {
  return (
    <span className={classes("badge", `tone-${tone}`)} title={title}>
      {dot && <StatusDot tone={tone} pulse={dot === "pulse"} />}
      {children}
    </span>
  );
}

/** A run's status in its colours. */
export function StatusBadge({ status }: { readonly status: string }) {
  return (
    <Badge tone={toneOf(status)} dot={status === "running" ? "pulse" : true}>
      {status}
    </Badge>
  );
}

interface StatusDotProps {
  readonly tone: Tone;
  readonly pulse?: boolean;
  /** Said to those who don't see the colour; without it the words beside it have to say it. */
  readonly label?: string;
}

/** A coloured dot. Never the only sign of a state. */
export function StatusDot({ tone, pulse = false, label }: StatusDotProps) {
  const className = classes("status-dot", `tone-${tone}`, pulse && "status-dot-pulse");
  if (label === undefined) return <span className={className} aria-hidden="true" />;
  return <span className={className} role="img" aria-label={label} title={label} />;
}
