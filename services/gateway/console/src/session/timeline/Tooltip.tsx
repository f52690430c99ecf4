import { useLayoutEffect, useRef, useState } from "react";
import { StatusDot, toneOf } from "../../ui/Badge.tsx";
import { visible } from "../../ui/visible.ts";
import type { Span } from "./spans.ts";
import { factsOf, KINDS, nameOf, statusOf } from "./words.ts";

const GAP_PX = 8;

/** Errors are sentences; what is longer is in the details. */
const ERROR_CHARS_MAX = 240;

/** A bar's facts, beside it. */
export function Tooltip({
  span,
  anchor,
  now,
  id,
}: {
  readonly span: Span;
  readonly anchor: DOMRect;
  readonly now: number;
  readonly id: string;
}) {
  const card = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number } | null>(null);
  useLayoutEffect(() => {
    const size = card.current?.getBoundingClientRect();
    if (!size) return;
    const below = anchor.bottom + GAP_PX;
    const top = below + size.height > innerHeight - GAP_PX ? anchor.top - GAP_PX - size.height : below;
    const middle = Math.max(anchor.left, 0) + Math.min(anchor.width, 160) / 2 - size.width / 2;
    const left = Math.min(Math.max(middle, GAP_PX), innerWidth - size.width - GAP_PX);
    setPlace({ left, top: Math.max(top, GAP_PX) });
  }, [anchor]);
  const tone = span.status === "retrying" ? "waiting" : toneOf(span.status);
  return (
    <div
      ref={card}
      id={id}
      role="tooltip"
      className="tl-tip"
      style={place ?? { left: 0, top: 0, visibility: "hidden" }}
    >
      <div className="tl-tip-head">
        <StatusDot tone={tone} />
        <strong>{nameOf(span)}</strong>
      </div>
      <div className="tl-tip-kind">
        {KINDS[span.kind]} · {statusOf(span)}
        {span.note !== null && ` · ${visible(span.note)}`}
      </div>
      <dl>
        {factsOf(span, now).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {span.parts.map((part) => (
        <p key={part.start} className={`tl-tip-part tl-tip-${part.kind}`}>
          {visible(part.note.slice(0, ERROR_CHARS_MAX))}
        </p>
      ))}
      {span.error !== null && <p className="tl-tip-error">{visible(span.error.slice(0, ERROR_CHARS_MAX))}</p>}
    </div>
  );
}
