import { memo } from "react";
import { classes } from "../../ui/classes.ts";
import { formatCount } from "../../ui/format.ts";
import { Text } from "../../ui/Text.tsx";
import { colourOfType, gist } from "./gist.ts";
import type { Place } from "./pages.ts";

interface CellsProps {
  readonly seq: number;
  readonly place: Place;
}

interface EventLineProps extends CellsProps {
  /** Its place in the list, from 0 on, and how many the list has: few of them exist as elements. */
  readonly index: number;
  readonly count: number;
  readonly id: string;
  readonly selected: boolean;
  onPick(seq: number): void;
}

/** One event as a line of the list. */
export function EventLine({ seq, place, index, count, id, selected, onPick }: EventLineProps) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the list itself takes the keys, and says which line is active
    // biome-ignore lint/a11y/useFocusableInteractive: so does the focus stay with the list
    <div
      id={id}
      role="option"
      aria-selected={selected}
      aria-posinset={index + 1}
      aria-setsize={count}
      className={classes("event", selected && "event-selected", typeof place === "string" && "event-empty")}
      onClick={() => onPick(seq)}
    >
      <Cells seq={seq} place={place} />
    </div>
  );
}

// The end of the log moves all the time: what a line says is not worked out anew for that.
const Cells = memo(function Cells({ seq, place }: CellsProps) {
  const known = typeof place === "string" ? null : place.event;
  return (
    <>
      <span className="event-seq">{formatCount(seq)}</span>
      {known === null ? (
        <span className="event-none">{place === "absent" ? "no longer kept" : "…"}</span>
      ) : (
        <>
          <span className="event-time">{timeOf(known.ts)}</span>
          <span className="event-type" style={{ color: colourOfType(known.type) }}>
            <Text clip>{known.type}</Text>
          </span>
          <span className="event-who">
            <Text clip>{known.agent ?? ""}</Text>
          </span>
          <span className="event-gist">
            <Text clip>{gist(known)}</Text>
          </span>
        </>
      )}
    </>
  );
});

const TIME = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

function timeOf(ts: string): string {
  const at = Date.parse(ts);
  return Number.isNaN(at) ? "–" : TIME.format(at);
}
