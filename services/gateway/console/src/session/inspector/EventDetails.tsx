import { useState } from "react";
import { sessionPath } from "../../app/router.ts";
import { Button, IconButton } from "../../ui/Button.tsx";
import { formatBytes, formatCount, formatExact } from "../../ui/format.ts";
import { Icon, type IconName } from "../../ui/Icon.tsx";
import { Json } from "../../ui/Json.tsx";
import { Text } from "../../ui/Text.tsx";
import { useToast } from "../../ui/Toast.tsx";
import { curlOf } from "./curl.ts";
import { colourOfType } from "./gist.ts";
import type { WireEvent } from "./wire.ts";

interface EventDetailsProps {
  readonly sessionId: string;
  readonly item: WireEvent;
  onClose(): void;
  /** Show the session as it was then. */
  onAt(seq: number): void;
}

/** One event, whole: as a tree, and as the line that it is on the wire. */
export function EventDetails({ sessionId, item, onClose, onAt }: EventDetailsProps) {
  const { event, body } = item;
  const [wire, setWire] = useState(false);
  const at = Date.parse(event.ts);
  return (
    <section className="event-details" aria-label={`Event ${event.seq}`}>
      <header className="event-details-head">
        <div className="event-details-title">
          <strong className="mono" style={{ color: colourOfType(event.type) }}>
            <Text>{event.type}</Text>
          </strong>
          <span className="row-faint">
            seq {formatCount(event.seq)}
            {!Number.isNaN(at) && ` · ${formatExact(at)}`} · {formatBytes(new Blob([body]).size)}
          </span>
        </div>
        <IconButton size="sm" label="Close" onClick={onClose}>
          <Icon name="close" />
        </IconButton>
      </header>
      <div className="event-details-actions">
        <Copy icon="copy" what="JSON" text={body} />
        <Copy icon="copy" what="curl" text={curlOf(location.origin, sessionId, event.seq)} />
        <Copy icon="link" what="link" text={location.origin + sessionPath(sessionId, event.seq)} />
        <Button size="sm" icon={<Icon name="clock" size={14} />} onClick={() => onAt(event.seq)}>
          As it was then
        </Button>
        <Button size="sm" tone="quiet" aria-pressed={wire} onClick={() => setWire(!wire)}>
          On the wire
        </Button>
      </div>
      <div className="event-details-body">
        {wire ? (
          <div className="event-wire mono">
            <Text pre limit={20_000}>
              {body}
            </Text>
          </div>
        ) : (
          <Json value={event} depth={3} />
        )}
      </div>
    </section>
  );
}

interface CopyProps {
  readonly icon: IconName;
  readonly what: string;
  readonly text: string;
}

function Copy({ icon, what, text }: CopyProps) {
  const toast = useToast();
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      // Without a secure context the browser has no clipboard for us.
      toast({ tone: "error", title: "The browser doesn't let this page copy", detail: text });
    }
  };
  return (
    <Button size="sm" icon={<Icon name={done ? "check" : icon} size={14} />} onClick={() => void copy()}>
      {done ? "Copied" : `Copy ${what}`}
    </Button>
  );
}
