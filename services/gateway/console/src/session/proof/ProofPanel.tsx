import type { ReactNode } from "react";
import { StatusDot, toneOf } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { classes } from "../../ui/classes.ts";
import { formatCount, formatDuration } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { useNow } from "../../ui/now.ts";
import { visible } from "../../ui/visible.ts";
import type { ProofPanelProps } from "../contract.ts";
import { clock } from "../timeline/format.ts";
import type { Episode } from "./episodes.ts";
import type { LatencyStats } from "./latency.ts";
import { Sparkline } from "./Sparkline.tsx";
import { type Proof, useProof } from "./useProof.ts";
import { EXPLAINED, STATES } from "./words.ts";
import "./proof.css";

/** The proof that nothing is missing: how the connection is, what it went through, and a way to try it. */
export function ProofPanel(props: ProofPanelProps & { readonly children?: ReactNode }) {
  const { status, connection } = props;
  const proof = useProof(props);
  const over = !connection || status.state === "ended" || status.state === "failed";
  return (
    <section className="proof-panel" aria-label="Connection">
      <div className="proof-column">
        <Head {...props} since={proof.since} />
        <Numbers proof={proof} />
        <div className="proof-cut">
          <Button icon={<Icon name="cut" />} disabled={over} onClick={() => proof.recorder?.cut()}>
            Cut my connection
          </Button>
          <p>
            Drops this page's stream as a network would. It comes back by itself, asks for all after the last event it
            has, and counts what is missing or comes twice.
          </p>
        </div>
        {props.children}
      </div>
      <div className="proof-column proof-history">
        <h3>What it went through</h3>
        <Log episodes={proof.episodes} />
      </div>
      <Latency latency={proof.latency} />
    </section>
  );
}

function Head({ status, since }: Pick<ProofPanelProps, "status"> & { readonly since: number | null }) {
  const now = useNow();
  const from = (status.since === undefined ? Number.NaN : Date.parse(status.since)) || since;
  const reason = status.reason ?? status.error?.message;
  return (
    <header className="proof-head">
      <p>
        <StatusDot tone={toneOf(status.state)} pulse={status.state === "live"} />
        <strong>{STATES[status.state]}</strong>
        {from !== null && <span className="proof-faint">{passed(now - from)}</span>}
      </p>
      <p className="proof-faint">{EXPLAINED[status.state]}</p>
      {reason !== undefined && status.state !== "live" && <p className="proof-reason">{visible(reason)}</p>}
    </header>
  );
}

/** How long ago, in whole seconds: it is counted, not measured. */
function passed(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 1) return "just now";
  return seconds < 60 ? `for ${seconds} s` : `for ${formatDuration(seconds * 1_000)}`;
}

function Numbers({ proof }: { readonly proof: Proof }) {
  const { counters, cursor } = proof;
  return (
    <dl className="proof-numbers">
      <Figure name="cursor" value={cursor} hint="the last event this page has" />
      <Figure name="received" value={counters.events} hint="events that this page's stream brought" />
      <Figure name="resumes" value={counters.resumes} hint="streams opened, all but the first" />
      <Figure name="gaps" value={counters.gaps} hint="streams that left events out" zero />
      <Figure name="duplicates" value={counters.duplicates} hint="events that came a second time" zero />
      <Figure name="resets" value={counters.resets} hint="times the gateway moved the cursor" zero />
    </dl>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: number;
  readonly hint: string;
  /** Zero is what it should be. */
  readonly zero?: boolean;
}

function Figure({ name, value, hint, zero = false }: FigureProps) {
  return (
    <div title={hint}>
      <dt>{name}</dt>
      <dd className={zero ? (value === 0 ? "proof-good" : "proof-broken") : undefined}>{formatCount(value)}</dd>
    </div>
  );
}

function Latency({ latency }: { readonly latency: LatencyStats | null }) {
  return (
    <div className="proof-latency">
      <h3>Delivery</h3>
      {latency === null ? (
        <p className="proof-faint">Measured as soon as events come live.</p>
      ) : (
        <>
          <Sparkline delays={latency.delays} width={400} height={48} />
          <p className="proof-quantiles">
            <span>
              median <strong>+{formatDuration(latency.median)}</strong>
            </span>
            <span>
              p95 <strong>+{formatDuration(latency.p95)}</strong>
            </span>
            <span>
              most <strong>+{formatDuration(latency.most)}</strong>
            </span>
            <span className="proof-faint">{formatCount(latency.count)} events</span>
          </p>
          <p className="proof-faint proof-small">
            From the worker's clock to this page, beyond the fastest of the last {formatCount(latency.delays.length)}.
            That one took {signed(latency.offset)} by two clocks that may differ, so it counts as nothing.
          </p>
        </>
      )}
    </div>
  );
}

function signed(ms: number): string {
  return ms < 0 ? `−${formatDuration(-ms)}` : formatDuration(ms);
}

const TITLES: Readonly<Record<Episode["kind"], string>> = { opened: "Opened", cut: "Cut on purpose", lost: "Lost" };

function Log({ episodes }: { readonly episodes: readonly Episode[] }) {
  return (
    <ol className="proof-log" aria-label="What the connection went through, newest first">
      {episodes.map((episode) => (
        <li key={episode.id} className={classes("proof-episode", episode.outcome === null && "proof-now")}>
          <p className="proof-title">
            <strong>{TITLES[episode.kind]}</strong>
            <span className="proof-faint">{clock(episode.began)}</span>
            {episode.took !== null && (
              <span className="proof-outcome">
                {episode.outcome} in {formatDuration(episode.took)}
              </span>
            )}
          </p>
          <ol>
            {episode.lines.map((line, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines are only ever added
              <li key={at}>
                <span className="proof-after">+{formatDuration(line.after)}</span>
                <span>{visible(line.text)}</span>
              </li>
            ))}
          </ol>
        </li>
      ))}
    </ol>
  );
}
