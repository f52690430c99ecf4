import { useEffect, useId, useState } from "react";
import { StatusDot, type Tone } from "../ui/Badge.tsx";
import { formatCount } from "../ui/format.ts";
import { useAnnounce } from "./announcer.tsx";
import { type Health, useHealth } from "./health.ts";
import "./HealthButton.css";

const TONES: Readonly<Record<Health["state"], Tone>> = {
  unknown: "queued",
  ready: "completed",
  degraded: "waiting",
  draining: "stalled",
  unreachable: "failed",
};

const WORDS: Readonly<Record<Health["state"], string>> = {
  unknown: "Connecting",
  ready: "Connected",
  degraded: "Degraded",
  draining: "Draining",
  unreachable: "Unreachable",
};

/** Whether the gateway is well, and at a press what it says of itself. */
export function HealthButton() {
  const health = useHealth();
  const announce = useAnnounce();
  const id = useId();
  const [seen, setSeen] = useState(health.state);
  useEffect(() => {
    if (health.state === seen) return;
    // The first answer is no news unless it is bad.
    if (seen !== "unknown" || health.state !== "ready") announce(`Gateway: ${WORDS[health.state].toLowerCase()}`);
    setSeen(health.state);
  }, [health.state, seen, announce]);

  return (
    <>
      <button type="button" className="health" popoverTarget={id}>
        <StatusDot tone={TONES[health.state]} pulse={health.state === "unknown"} />
        <span className="health-word">{WORDS[health.state]}</span>
        <span className="visually-hidden">, the gateway's health</span>
      </button>
      <div id={id} popover="auto" className="health-popover">
        <h2>Gateway</h2>
        <HealthDetails health={health} />
      </div>
    </>
  );
}

function HealthDetails({ health }: { readonly health: Health }) {
  if (health.state === "unknown") return <p className="health-note">No answer yet.</p>;
  if (health.state === "unreachable") {
    return <p className="health-note">It doesn't answer. Streams come back by themselves once it does.</p>;
  }
  const { postgres, redis, streams, status } = health.readiness;
  return (
    <>
      <dl className="health-list">
        <Line name="Status" tone={status === "ready" ? "completed" : "stalled"} value={status} />
        <Line
          name="Postgres"
          tone={postgres.reachable ? "completed" : "failed"}
          value={postgres.reachable ? `reachable${postgres.durable === false ? ", not durable" : ""}` : "unreachable"}
        />
        <Line
          name="Redis"
          tone={redis.connected ? "completed" : "waiting"}
          value={redis.connected ? "connected" : "away"}
        />
        <Line name="Open streams" value={formatCount(streams)} />
      </dl>
      {!redis.connected && (
        <p className="health-note">Nothing is lost without Redis: events come about a second later.</p>
      )}
    </>
  );
}

function Line({ name, value, tone }: { readonly name: string; readonly value: string; readonly tone?: Tone }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {tone && <StatusDot tone={tone} />} {value}
      </dd>
    </div>
  );
}
