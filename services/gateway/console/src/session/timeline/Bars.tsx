import { memo } from "react";
import { classes } from "../../ui/classes.ts";
import { formatCount } from "../../ui/format.ts";
import { type Box, type Projection, pixelOf } from "./boxes.ts";
import type { Part, Span } from "./spans.ts";
import { lasted, nameOf, sentence } from "./words.ts";

/** A letter is about so wide on a bar, at 11.5 pixels. */
const LETTER_PX = 6.3;
const PADDING_PX = 14;

interface BarProps {
  readonly box: Box;
  readonly projection: Projection;
  readonly colour: number;
  readonly active: boolean;
  readonly selected: boolean;
}

/** One bar: its name inside where it fits, behind it where there is room, and nowhere otherwise. */
export const Bar = memo(function Bar({ box, projection, colour, active, selected }: BarProps) {
  const { span } = box;
  // What is half out of view keeps its name at the edge of what is seen.
  const left = Math.max(box.x, -2);
  const width = Math.min(box.x + box.width, projection.width + 2) - left;
  const name = box.count > 1 ? `${formatCount(box.count)} × ${span.kind}` : nameOf(span);
  const time = box.count > 1 ? "" : lasted(span, projection.now);
  const wanted = name.length * LETTER_PX + PADDING_PX;
  const inside = wanted <= width || width > 90;
  const outside = !inside && box.count === 1 && wanted < box.room;
  const timed = (inside ? width : box.room) > wanted + time.length * LETTER_PX + 10;
  const kind = box.count > 1 ? "several" : span.kind;
  return (
    <div
      role="gridcell"
      className={classes(
        "tl-bar",
        `tl-${kind}`,
        `tl-is-${box.failed ? "failed" : span.status}`,
        `tl-lane-${colour + 1}`,
        span.end === null && "tl-open",
        selected && "tl-selected",
      )}
      style={{ left, width: Math.max(width, 3) }}
      data-span={span.id}
      tabIndex={active ? 0 : -1}
      aria-selected={selected}
      // What is read holds what is seen, for those who say it to their computer: hence the time comes from the style.
      aria-label={box.count > 1 ? `${name}, the first: ${sentence(span)}` : sentence(span)}
    >
      {span.parts.map((part) => (
        <PartOf key={`${part.kind}${part.start}`} part={part} left={left} projection={projection} />
      ))}
      {(inside || outside) && (
        <span className={inside ? "tl-name" : "tl-name tl-beside"} aria-hidden="true">
          {name}
          {timed && time !== "" && <span className="tl-time" data-time={time} />}
        </span>
      )}
    </div>
  );
});

function PartOf({
  part,
  left,
  projection,
}: {
  readonly part: Part;
  readonly left: number;
  readonly projection: Projection;
}) {
  const from = Math.max(pixelOf(part.start, projection), left);
  const to = Math.min(pixelOf(part.end, projection), projection.width + 2);
  if (to - from < 1) return null;
  return <span className={`tl-part tl-part-${part.kind}`} style={{ left: from - left, width: to - from }} />;
}

/** An agent's turns behind what it did in them. */
export function Turns({
  turns,
  projection,
  colour,
  end,
}: {
  readonly turns: readonly Span[];
  readonly projection: Projection;
  readonly colour: number;
  /** The lane's last row closes the frame around a turn. */
  readonly end: boolean;
}) {
  return turns.map((turn) => {
    const from = Math.max(pixelOf(turn.start, projection), -4);
    const to = Math.min(pixelOf(turn.end ?? Math.max(projection.now, turn.start), projection), projection.width + 4);
    if (to < 0 || from > projection.width) return null;
    return (
      <span
        key={turn.id}
        className={classes(
          "tl-turn",
          `tl-lane-${colour + 1}`,
          turn.status === "failed" && "tl-is-failed",
          end && "tl-turn-end",
        )}
        style={{ left: from, width: Math.max(to - from, 2) }}
        aria-hidden="true"
      />
    );
  });
}
