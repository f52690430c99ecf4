/** How the gateway says it is, asked again and again while the page is seen. */

import { useEffect, useState } from "react";

/** The answer of `GET /readyz`. */
export interface Readiness {
  readonly status: "ready" | "draining";
  readonly postgres: { readonly reachable: boolean; readonly version: string | null; readonly durable: boolean | null };
  readonly redis: { readonly connected: boolean };
  readonly streams: number;
}

export type Health =
  | { readonly state: "unknown" }
  | { readonly state: "unreachable" }
  | { readonly state: "ready" | "draining" | "degraded"; readonly readiness: Readiness };

// A gateway that restarts is away for seconds; more often would only be noise in its log.
const EVERY_MS = 10_000;
const WHEN_AWAY_MS = 3_000;
const PATIENCE_MS = 5_000;

/** Return the gateway's health. */
export function useHealth(): Health {
  const [health, setHealth] = useState<Health>({ state: "unknown" });
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const ask = async () => {
      clearTimeout(timer);
      if (document.hidden) return; // it is asked when the page is seen again
      const found = await readiness();
      if (ended) return;
      setHealth(found);
      timer = setTimeout(ask, found.state === "unreachable" ? WHEN_AWAY_MS : EVERY_MS);
    };
    const again = () => void ask();
    void ask();
    document.addEventListener("visibilitychange", again);
    addEventListener("online", again);
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", again);
      removeEventListener("online", again);
    };
  }, []);
  return health;
}

async function readiness(): Promise<Health> {
  try {
    const response = await fetch("/readyz", { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    // 503 says `draining` and is an answer as well; a proxy's error page isn't.
    const said = (await response.json()) as Readiness;
    if (said.postgres === undefined) return { state: "unreachable" };
    if (said.status === "draining") return { state: "draining", readiness: said };
    const whole = said.postgres.reachable && said.redis.connected;
    return { state: whole ? "ready" : "degraded", readiness: said };
  } catch {
    return { state: "unreachable" };
  }
}
