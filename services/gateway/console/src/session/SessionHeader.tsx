import type { Run, State } from "@holdfast/client/fold";
import { progressOf } from "@holdfast/client/views";
import { useState } from "react";
import { Badge, StatusBadge } from "../ui/Badge.tsx";
import { Button, IconButton } from "../ui/Button.tsx";
import { formatDuration } from "../ui/format.ts";
import { Icon } from "../ui/Icon.tsx";
import { useNow } from "../ui/now.ts";
import { Text } from "../ui/Text.tsx";
import type { ProofPanelProps } from "./contract.ts";
import { Progress } from "./conversation/rows/Progress.tsx";
import { ProofStrip } from "./proof/ProofStrip.tsx";

interface SessionHeaderProps {
  readonly sessionId: string;
  readonly state: State;
  readonly latest: Run | null;
  readonly proof: ProofPanelProps;
  readonly live: boolean;
  readonly seq: number;
  onStart(): void;
  onCancel(): void;
  onErase(): void;
  onConnection(): void;
}

/** What one wants to know of a session at a glance, and what can be done with it. */
export function SessionHeader(props: SessionHeaderProps) {
  const { sessionId, state, latest, live } = props;
  const going = latest !== null && (OPEN.has(latest.status) || latest.status === "queued");
  const progress = latest !== null && going ? progressOf(state, latest) : null;
  return (
    <header className="sp-header">
      <div className="sp-title">
        <h1 className="mono" title={sessionId}>
          <Text clip>{sessionId}</Text>
        </h1>
        <CopyId id={sessionId} />
        {state.session.status !== "active" && <StatusBadge status={state.session.status} />}
        {latest !== null && <StatusBadge status={latest.status} />}
      </div>
      <div className="sp-facts">
        {latest !== null && (
          <span className="sp-fact">
            <Icon name="play" size={12} />
            <Text clip>{latest.workflow ?? "run"}</Text>
          </span>
        )}
        {going && latest.stage !== null && (
          <Badge tone="accent">
            <Text clip>{latest.stage}</Text>
          </Badge>
        )}
        {latest !== null && <Elapsed run={latest} live={live} />}
        <ProofStrip {...props.proof} onOpen={props.onConnection} />
        {!live && <span className="row-faint">as of event {props.seq.toLocaleString("en")}</span>}
      </div>
      <div className="sp-actions">
        {going && (
          <Button size="sm" icon={<Icon name="stop" size={14} />} disabled={!live} onClick={props.onCancel}>
            Cancel run
          </Button>
        )}
        <Button size="sm" icon={<Icon name="plus" size={14} />} disabled={!live} onClick={props.onStart}>
          New run
        </Button>
        <IconButton size="sm" label="Erase this session" disabled={!live} onClick={props.onErase}>
          <Icon name="trash" />
        </IconButton>
      </div>
      {progress !== null && (
        <div className="sp-progress">
          <Progress fraction={progress.fraction} label={progress.label} name="Progress of the run" />
        </div>
      )}
    </header>
  );
}

const OPEN = new Set(["running", "waiting"]);

/** How long a run took, or takes until now. */
function Elapsed({ run, live }: { readonly run: Run; readonly live: boolean }) {
  const now = useNow(1_000);
  if (run.duration_ms !== null) return <span className="row-faint">{formatDuration(run.duration_ms)}</span>;
  const started = Date.parse(run.started_ts ?? "");
  if (Number.isNaN(started) || !live) return null;
  // Whole seconds: it is counted, not measured.
  const passed = Math.max(Math.floor((now - started) / 1000), 0) * 1000;
  return <span className="row-faint">{passed < 1000 ? "just now" : formatDuration(passed).replace(/\.\d+/, "")}</span>;
}

function CopyId({ id }: { readonly id: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(id);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <IconButton
      size="sm"
      label={copied ? "Copied" : "Copy the session's id"}
      onClick={() => void copy().catch(() => undefined)}
    >
      <Icon name={copied ? "check" : "copy"} size={14} />
    </IconButton>
  );
}
