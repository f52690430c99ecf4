import { StatusDot, toneOf } from "../../ui/Badge.tsx";
import { classes } from "../../ui/classes.ts";
import { formatCount, plural } from "../../ui/format.ts";
import type { ProofPanelProps } from "../contract.ts";
import { Sparkline } from "./Sparkline.tsx";
import { useProof, useRecording } from "./useProof.ts";
import { STATES } from "./words.ts";
import "./proof.css";

/** Fewer deliveries draw no line worth looking at. */
const LINE_MIN = 8;

/** The connection in one line. It stays mounted with the page: what the panel tells is recorded here. */
export function ProofStrip(props: ProofPanelProps & { onOpen(): void }) {
  const { status } = props;
  useRecording(props);
  const { counters, latency } = useProof(props);
  return (
    <button
      type="button"
      className="proof-strip"
      onClick={props.onOpen}
      title="The connection, and what it went through"
    >
      <StatusDot tone={toneOf(status.state)} pulse={status.state === "live"} />
      <span className="proof-state">{STATES[status.state]}</span>
      <span className="proof-facts">
        {counters.resumes > 0 && <span>{formatCount(counters.resumes)} resumed</span>}
        <span className={classes(counters.gaps > 0 && "proof-broken")}>{plural(counters.gaps, "gap")}</span>
        <span className={classes(counters.duplicates > 0 && "proof-broken")}>
          {formatCount(counters.duplicates)} doubled
        </span>
      </span>
      {latency && latency.delays.length > LINE_MIN && (
        <Sparkline delays={latency.delays.slice(-40)} width={56} height={14} />
      )}
    </button>
  );
}
