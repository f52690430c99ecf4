import { memo } from "react";
import { Link } from "../app/Link.tsx";
import { sessionPath } from "../app/router.ts";
import { Badge, StatusBadge } from "../ui/Badge.tsx";
import { IconButton } from "../ui/Button.tsx";
import { formatCount, formatDuration } from "../ui/format.ts";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";
import { Time } from "../ui/Time.tsx";
import { type Row, titleOf } from "./filter.ts";

interface SessionRowProps {
  readonly row: Row;
  readonly now: number;
  readonly onErase: (sessionId: string) => void;
}

/** One session: the whole row is its link. */
export const SessionRow = memo(function SessionRow({ row, now, onErase }: SessionRowProps) {
  const { session, latest } = row;
  const title = titleOf(session);
  const erased = session.status === "erased";
  return (
    <li className="session-row">
      <span className="session-status">
        {erased ? (
          <Badge tone="cancelled">erased</Badge>
        ) : latest ? (
          <StatusBadge status={latest.status} />
        ) : (
          <span className="session-none">{latest === null ? "no run yet" : "…"}</span>
        )}
      </span>
      <span className="session-name">
        <Link to={sessionPath(session.session_id)} className="session-link">
          {title === null ? (
            <Text clip mono>
              {session.session_id}
            </Text>
          ) : (
            <Text clip>{title}</Text>
          )}
        </Link>
        {title !== null && (
          <Text clip mono className="session-id">
            {session.session_id}
          </Text>
        )}
        {!erased && session.status === "expired" && <Badge tone="cancelled">expired</Badge>}
      </span>
      <span className="session-facts">
        <span className="session-workflow">{latest ? <Text clip>{latest.workflow}</Text> : <Blank />}</span>
        <span className="session-number session-events">
          {formatCount(session.head)} <span className="session-unit">{session.head === 1 ? "event" : "events"}</span>
        </span>
        <span className="session-number session-took">{latest ? took(latest, now) : <Blank />}</span>
        <span className="session-number session-age">
          <Time at={session.created_at} />
        </span>
      </span>
      <span className="session-actions">
        {!erased && (
          <IconButton
            size="sm"
            label={`Erase session ${session.session_id}`}
            onClick={() => onErase(session.session_id)}
          >
            <Icon name="trash" size={15} />
          </IconButton>
        )}
      </span>
    </li>
  );
});

function Blank() {
  return <span className="session-none">–</span>;
}

// What waits for a person or a worker isn't taking that long: it has not begun, or stands still.
function took(run: { created_at: string; ended_at: string | null; status: string }, now: number) {
  if (run.ended_at === null && run.status !== "running") return <Blank />;
  const from = Date.parse(run.created_at);
  if (run.ended_at !== null) return formatDuration(Date.parse(run.ended_at) - from);
  // In whole seconds: tenths that change once a second are noise.
  return formatDuration(Math.floor(Math.max(0, now - from) / 1_000) * 1_000);
}
