import { type KeyboardEvent, memo, type PointerEvent, useMemo, useRef, useState } from "react";
import { classes } from "../../ui/classes.ts";
import { formatCount } from "../../ui/format.ts";
import { clock, moment } from "../timeline/format.ts";
import { PROBES, type Survey } from "./survey.ts";
import { type Axis, columnsOf, type Track, trackOf } from "./track.ts";
import "./scrubber.css";

interface ScrubberProps {
  readonly axis: Axis;
  readonly survey: Survey;
  readonly minSeq: number;
  readonly head: number;
  readonly at: number;
  readonly live: boolean;
  onSeek(seq: number): void;
  onStep(by: number): void;
}

/** Columns of the picture: on a phone two pixels each, on a desk ten. */
const COLUMNS = 160;

/** What Page Up and Page Down move by. */
const LEAP = 100;

/** The whole log as one line: what was busy when, in the colours of what it was busy with. */
export function Scrubber({ axis, survey, minSeq, head, at, live, onSeek, onStep }: ScrubberProps) {
  const bar = useRef<HTMLDivElement>(null);
  const dragging = useRef(false);
  const [hover, setHover] = useState<number | null>(null);
  const track = useMemo(() => trackOf(axis, { minSeq, head, survey }), [axis, minSeq, head, survey]);
  const shareAt = (event: PointerEvent): number => {
    const box = bar.current?.getBoundingClientRect();
    return box ? Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) : 0;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = STEPS[event.key];
    if (by !== undefined) onStep(event.shiftKey ? by * 10 : by);
    else if (event.key === "Home") onSeek(minSeq);
    else if (event.key === "End") onSeek(head);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const share = live ? 1 : track.shareOf(at);
  const time = track.timeAt(at);
  return (
    <div className="replay-scrubber">
      <div
        ref={bar}
        className="replay-track"
        role="slider"
        tabIndex={0}
        aria-label="Place in the log"
        aria-valuemin={minSeq}
        aria-valuemax={Math.max(head, minSeq)}
        aria-valuenow={Math.max(at, minSeq)}
        aria-valuetext={`event ${formatCount(at)} of ${formatCount(head)}${live ? ", live" : time ? `, ${clock(time)}` : ""}`}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          dragging.current = true;
          event.currentTarget.setPointerCapture(event.pointerId);
          onSeek(track.seqAt(shareAt(event)));
        }}
        onPointerMove={(event) => {
          setHover(shareAt(event));
          if (dragging.current) onSeek(track.seqAt(shareAt(event)));
        }}
        onPointerUp={() => {
          dragging.current = false;
        }}
        onPointerCancel={() => {
          dragging.current = false;
        }}
        onPointerLeave={() => setHover(null)}
      >
        <Density track={track} survey={survey} events={head - minSeq + 1} />
        <span className="replay-ahead" style={{ left: `${share * 100}%` }} />
        <span className={classes("replay-thumb", live && "replay-thumb-live")} style={{ left: `${share * 100}%` }} />
        {hover !== null && <Hint track={track} share={hover} />}
      </div>
      <div className="replay-ends" aria-hidden="true">
        <span>{endOf(track, minSeq)}</span>
        {!survey.whole && <span>sampled</span>}
        <span>{endOf(track, head)}</span>
      </div>
    </div>
  );
}

const STEPS: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageUp: -LEAP,
  PageDown: LEAP,
};

function endOf(track: Track, seq: number): string {
  const time = track.timeAt(seq);
  return track.axis === "seq" || time === null ? formatCount(seq) : moment(time).replace(/\.\d+$/, "");
}

function Hint({ track, share }: { readonly track: Track; readonly share: number }) {
  const seq = track.seqAt(share);
  const time = track.timeAt(seq);
  const edge = share < 0.1 ? "replay-hint-left" : share > 0.9 ? "replay-hint-right" : null;
  return (
    <span className={classes("replay-hint", edge)} style={{ left: `${share * 100}%` }}>
      {formatCount(seq)}
      {time !== null && <span className="replay-muted"> {clock(time)}</span>}
    </span>
  );
}

// A path for each family rather than an element for each column: the picture is one of six.
const Density = memo(function Density({
  track,
  survey,
  events,
}: {
  readonly track: Track;
  readonly survey: Survey;
  readonly events: number;
}) {
  // Samples are a column each: what lies between them nobody looked at.
  const count = survey.whole ? Math.max(1, Math.min(COLUMNS, events)) : PROBES;
  const paths = useMemo(() => {
    const found = new Map<string, string>();
    columnsOf(track, survey, count).forEach((column, at) => {
      let top = 1;
      for (const { family, share } of column.parts) {
        const path = `M${at + 0.12} ${top.toFixed(3)}h.76v${(-share).toFixed(3)}h-.76Z`;
        found.set(family, (found.get(family) ?? "") + path);
        top -= share;
      }
    });
    return [...found];
  }, [track, survey, count]);
  return (
    <svg className="replay-density" viewBox={`0 0 ${count} 1`} preserveAspectRatio="none" aria-hidden="true">
      {paths.map(([family, path]) => (
        <path key={family} d={path} className={`replay-family-${family}`} />
      ))}
    </svg>
  );
});
