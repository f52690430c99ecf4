import type { Message } from "@holdfast/client/fold";
import { memo, useState } from "react";
import { IconButton } from "../../../ui/Button.tsx";
import { formatCount, formatDuration } from "../../../ui/format.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { Markdown } from "../Markdown.tsx";
import type { Breaks } from "../markdown.ts";
import { Value } from "../Value.tsx";
import { Frame, Lane, Who } from "./Frame.tsx";

/** Of a long message so much is laid out at once; twenty screens. */
const SHOWN_CHARS = 24_000;

/** What took less was not written but shown. */
const TOLD_FROM_MS = 100;

interface MessageRowProps {
  readonly message: Message;
}

/** What was said: whole, still coming, or cut off. */
export const MessageRow = memo(function MessageRow({ message }: MessageRowProps) {
  const [raw, setRaw] = useState(false);
  const who = message.agent ?? ROLES.get(message.role) ?? message.role;
  const open = !message.complete && !message.cut;
  return (
    <Frame
      mark={{ name: who }}
      ts={message.ts}
      label={`${who} said`}
      className={message.role === "user" ? "row-user" : undefined}
      head={
        <>
          <Who name={who} />
          {message.agent !== null && message.role !== "assistant" && <span className="row-faint">{message.role}</span>}
          <Lane lane={message.lane} />
          {message.duration_ms !== null && message.duration_ms >= TOLD_FROM_MS && (
            <span className="row-faint">{formatDuration(message.duration_ms)}</span>
          )}
          {!open && lookOf(message) !== "plain" && (
            <IconButton
              size="sm"
              className="row-action"
              label="As it was written"
              aria-pressed={raw}
              onClick={() => setRaw(!raw)}
            >
              <Icon name="file" size={13} />
            </IconButton>
          )}
          {message.content !== "" && <CopyText text={message.content} />}
        </>
      }
    >
      <div className={open ? "message-text message-open" : "message-text"}>
        <Content message={message} raw={raw} open={open} />
        {open && <span className="caret" aria-hidden="true" />}
      </div>
      {message.cut && (
        <p className="row-note">
          <Icon name="cut" size={13} /> Cut off: its run ended before the message was whole.
        </p>
      )}
    </Frame>
  );
});

const ROLES: ReadonlyMap<string, string> = new Map([
  ["assistant", "Assistant"],
  ["user", "You"],
  ["system", "System"],
  ["tool", "Tool"],
]);

interface ContentProps extends MessageRowProps {
  /** As it was written, without a look. */
  readonly raw: boolean;
  readonly open: boolean;
}

function Content({ message, raw, open }: ContentProps) {
  const { content, content_type: type } = message;
  const [all, setAll] = useState(false);
  const look = raw ? "plain" : lookOf(message);
  if (type.endsWith("json")) return <Value value={content} contentType={type} />;
  if (all || content.length <= SHOWN_CHARS) return <Written text={content} as={look} />;
  const hidden = (
    <button type="button" className="text-more" onClick={() => setAll(true)}>
      … {formatCount(content.length - SHOWN_CHARS)} {open ? "earlier" : "more"} characters
    </button>
  );
  // Of a text that is still coming its end is what one reads, of a whole one its beginning.
  return open ? (
    <>
      {hidden}
      <Written text={content.slice(-SHOWN_CHARS)} as="plain" />
    </>
  ) : (
    <>
      <Written text={content.slice(0, SHOWN_CHARS)} as={look} />
      {hidden}
    </>
  );
}

type Look = "plain" | Breaks;

function Written({ text, as }: { readonly text: string; readonly as: Look }) {
  return as === "plain" ? <Text pre>{text}</Text> : <Markdown text={text} breaks={as} />;
}

/** Models answer in Markdown and few workflows say so; people's words are shown as they wrote them. */
function lookOf({ content_type, role }: Message): Look {
  if (content_type === "text/markdown") return "join";
  return content_type === "text/plain" && role === "assistant" ? "keep" : "plain";
}

function CopyText({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <IconButton
      size="sm"
      className="row-action"
      label={copied ? "Copied" : "Copy text"}
      onClick={() => void copy().catch(() => undefined)}
    >
      <Icon name={copied ? "check" : "copy"} size={13} />
    </IconButton>
  );
}
