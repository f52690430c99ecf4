import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import { classes } from "../../ui/classes.ts";
import type { Selection } from "../contract.ts";
import { Axis, Lines } from "./Axis.tsx";
import type { Projection } from "./boxes.ts";
import { type Row, rowsBetween } from "./layout.ts";
import type { Model } from "./model.ts";
import { GroupGround, RowView } from "./Rows.tsx";
import type { Scale } from "./scale.ts";
import { Legend, Toolbar } from "./Toolbar.tsx";
import { Tooltip } from "./Tooltip.tsx";
import { useHover } from "./useHover.ts";
import { useLook } from "./useLook.ts";
import { useSize } from "./useSize.ts";
import { type Direction, firstWithin, isWithin, type Spot, spotOf, step } from "./walk.ts";

export interface ChartProps {
  readonly model: Model;
  readonly scale: Scale;
  readonly now: number;
  readonly live: boolean;
  readonly compact: boolean;
  readonly selectedId: string | null;
  readonly skipIdle: boolean;
  /** Shown instead of the picture. */
  readonly table: ReactNode;
  readonly summary: string;
  onSkipIdle(on: boolean): void;
  onTable(on: boolean): void;
  onFold(runId: string): void;
  onSelect(selection: Selection | null): void;
}

/** Names take this much, less where the whole is narrow. */
const LABELS_PX = 208;
const LABELS_NARROW_PX = 168;
const NARROW_PX = 800;

/** Rows above and below what is seen, so that fast scrolling finds them drawn. */
const OVERSCAN_PX = 240;

/** Scrolling by less draws nothing anew: what comes into view is there already. */
const SCROLL_PX = 120;

const EVERYWHERE = { from: 0, to: Number.POSITIVE_INFINITY, start: 0, end: Number.POSITIVE_INFINITY };

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
  Home: "first",
  End: "last",
};

/** The picture itself, with what moves it. Only rows in view exist. */
export function Chart(props: ChartProps) {
  const { model, scale, now, live, compact, selectedId, onSelect } = props;
  const { layout } = model;
  const frame = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const tipId = useId();
  const size = useSize(scroller);
  const [top, setTop] = useState(0);
  const labels = compact ? 0 : size.width < NARROW_PX ? LABELS_NARROW_PX : LABELS_PX;
  const width = Math.max(size.width - labels, 1);
  const looking = useLook(scale, { frame, left: labels, width });
  const { view, look } = looking;
  const projection = useMemo<Projection>(() => ({ scale, view, width, now }), [scale, view, width, now]);
  const { hover, handlers, hide } = useHover();

  const [activeId, setActiveId] = useState<string | null>(null);
  const [from, to] = rowsBetween(layout.rows, top - OVERSCAN_PX, top + size.height + OVERSCAN_PX);
  // Tab reaches one bar: the one that had the focus while it is in view, else the first that is.
  const region = { from, to, start: scale.toTime(view.from), end: scale.toTime(view.to) };
  const had = useMemo(() => (activeId === null ? null : spotOf(layout, activeId)), [layout, activeId]);
  const active = had && isWithin(had, region) ? had : firstWithin(layout, region);
  const wantsFocus = useRef(false);
  useEffect(() => {
    // While the rows scroll there, the first in view stands in.
    if (!wantsFocus.current || active === null || active.span.id !== activeId) return;
    const bar = frame.current?.querySelector<HTMLElement>(`[data-span="${CSS.escape(active.span.id)}"]`);
    if (!bar) return;
    wantsFocus.current = false;
    bar.focus({ preventScroll: true });
  });

  const goTo = useCallback(
    (spot: Spot) => {
      const row = layout.rows[spot.row];
      const element = scroller.current;
      if (!row || !element) return;
      wantsFocus.current = true;
      setActiveId(spot.span.id);
      if (row.top < element.scrollTop) element.scrollTop = row.top - 8;
      else if (row.top + row.height > element.scrollTop + element.clientHeight)
        element.scrollTop = row.top + row.height + 8 - element.clientHeight;
      looking.reveal(spot.span.start, spot.span.end ?? now);
    },
    [layout, looking.reveal, now],
  );

  // What was picked elsewhere is brought into view here, once.
  const shownSelection = useRef<string | null>(null);
  useEffect(() => {
    if (selectedId === shownSelection.current) return;
    shownSelection.current = selectedId;
    const spot = selectedId === null ? null : spotOf(layout, selectedId);
    if (!spot || selectedId === activeId) return;
    goTo(spot);
    wantsFocus.current = false;
  }, [selectedId, activeId, layout, goTo]);

  const onKeyDown = (event: KeyboardEvent) => {
    const done = keyed(event, looking, () => {
      const direction = DIRECTIONS[event.key];
      if (!active && direction && event.target === scroller.current) {
        // Nothing in view to begin with: the nearest row that has anything is.
        const next = firstWithin(layout, { ...EVERYWHERE, from }) ?? firstWithin(layout, EVERYWHERE);
        if (next) goTo(next);
        return next !== null;
      }
      if (active && event.target instanceof Element && event.target.closest("[data-span]")) {
        if (direction) goTo(step(layout, active, direction));
        else if (event.key === "Enter" || event.key === " ") onSelect(active.span.target);
        else return false;
        return true;
      }
      return false;
    });
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
  };

  const spanAt = (event: MouseEvent): Spot | null => {
    const bar = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-span]") : null;
    const id = bar?.dataset.span;
    return id === undefined ? null : spotOf(layout, id);
  };
  const onClick = (event: MouseEvent) => {
    if (looking.dragged()) return;
    const spot = spanAt(event);
    if (!spot) return;
    hide();
    setActiveId(spot.span.id);
    onSelect(spot.span.target);
  };
  const onDoubleClick = (event: MouseEvent) => {
    const spot = spanAt(event);
    if (spot) looking.focus(spot.span.start, spot.span.end ?? now);
    else if (event.target instanceof Element && !event.target.closest("button")) looking.fit();
  };

  const hovered = hover && spotOf(layout, hover.id)?.span;
  const onAgent = useCallback(
    (row: Row) => {
      const turn = row.lane?.turns.at(-1);
      if (turn) onSelect(turn.target);
    },
    [onSelect],
  );
  const onRun = useCallback((runId: string) => onSelect({ kind: "run", run_id: runId }), [onSelect]);
  return (
    <section
      className={classes("tl", compact && "tl-compact", size.width < NARROW_PX && "tl-narrow")}
      aria-label="Timeline"
    >
      <div className="tl-bar-top">
        <Legend />
        <span className="tl-summary">{props.summary}</span>
        <Toolbar
          fitted={look.fit}
          open={model.open && live}
          hasBreaks={scale.breaks.length > 0}
          folding={props.skipIdle}
          table={props.table !== null}
          zoom={looking.zoom}
          fit={looking.fit}
          onFolding={props.onSkipIdle}
          onTable={props.onTable}
        />
      </div>
      {props.table}
      {
        // biome-ignore lint/a11y/noStaticElementInteractions: what is pressed are the bars inside; this listens for all of them
        <div
          className="tl-frame"
          hidden={props.table !== null}
          ref={frame}
          onKeyDown={onKeyDown}
          onClick={onClick}
          onDoubleClick={onDoubleClick}
          {...looking.pointer}
          {...handlers}
          aria-describedby={hovered ? tipId : undefined}
        >
          <Axis projection={projection} labels={labels} open={model.open && live} />
          <div className="tl-body">
            <Lines projection={projection} labels={labels} open={model.open && live} />
            <div
              className="tl-scroll"
              ref={scroller}
              onScroll={(event) => setTop(Math.floor(event.currentTarget.scrollTop / SCROLL_PX) * SCROLL_PX)}
              role="grid"
              tabIndex={active ? -1 : 0}
              aria-label="Bars over time"
              aria-rowcount={layout.rows.length}
            >
              <div className="tl-canvas" style={{ height: layout.height + 12 }} role="presentation">
                {layout.groups.map((group, at) => {
                  const extent = layout.extents[at];
                  if (!extent || extent.bottom < top - OVERSCAN_PX || extent.top > top + size.height + OVERSCAN_PX)
                    return null;
                  return (
                    <GroupGround
                      key={group.runId}
                      group={group}
                      top={extent.top}
                      height={extent.bottom - extent.top}
                      projection={projection}
                      labels={labels}
                    />
                  );
                })}
                {layout.rows.slice(from, to).map((row, at) => (
                  <RowView
                    key={row.id}
                    row={row}
                    index={from + at}
                    projection={projection}
                    labels={labels}
                    activeId={active && active.row === from + at ? active.span.id : null}
                    selectedId={row.spans.some((span) => span.id === selectedId) ? selectedId : null}
                    onFold={props.onFold}
                    onRun={onRun}
                    onAgent={onAgent}
                  />
                ))}
              </div>
            </div>
          </div>
        </div>
      }
      {hover && hovered && <Tooltip id={tipId} span={hovered} anchor={hover.anchor} now={now} />}
    </section>
  );
}

type Moved = Pick<ReturnType<typeof useLook>, "zoom" | "pan" | "fit">;

/** Do what a key asks for; returns whether it was one of ours. */
function keyed(event: KeyboardEvent, { zoom, pan, fit }: Moved, onBar: () => boolean): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.shiftKey && event.key === "ArrowLeft") pan(-0.15);
  else if (event.shiftKey && event.key === "ArrowRight") pan(0.15);
  else if (event.key === "+" || event.key === "=") zoom(1 / 1.4);
  else if (event.key === "-" || event.key === "_") zoom(1.4);
  else if (event.key === "0") fit();
  else return onBar();
  return true;
}
