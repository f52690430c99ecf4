import { useVirtualizer } from "@tanstack/react-virtual";
import { type Key, type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useRef } from "react";
import { classes } from "./classes.ts";
import "./VirtualList.css";

export interface VirtualListHandle {
  scrollToIndex(index: number, align?: "auto" | "start" | "center" | "end"): void;
  /** Whether the end is in view: a list that follows what comes goes on only then. */
  atEnd(): boolean;
}

interface VirtualListProps {
  readonly count: number;
  /** What a row's height is about, in pixels; rows are measured when they are seen. */
  readonly estimate: number;
  readonly render: (index: number) => ReactNode;
  /** A row's identity. Without it, its place. */
  readonly rowKey?: (index: number) => Key;
  /** Rows beyond the edges. */
  readonly overscan?: number;
  /** Told of the rows that are drawn: what has to be loaded. */
  readonly onRange?: (first: number, last: number) => void;
  /** All rows are as high as `estimate`: none is measured. */
  readonly fixed?: boolean;
  readonly label?: string;
  readonly role?: string;
  readonly className?: string;
  readonly ref?: Ref<VirtualListHandle>;
}

// A row and a half: what counts as being at the end although a row came in meanwhile.
const END_PX = 48;

/** A list of any length of which only the rows in view exist. It scrolls by itself and fills its place. */
export function VirtualList(props: VirtualListProps) {
  const {
    count,
    estimate,
    render,
    rowKey,
    overscan = 12,
    onRange,
    fixed = false,
    label,
    role = "group",
    className,
  } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count,
    estimateSize: () => estimate,
    getScrollElement: () => scroller.current,
    overscan,
    ...(rowKey ? { getItemKey: (index: number) => rowKey(index) as string | number } : {}),
  });

  const handle = useCallback(
    (): VirtualListHandle => ({
      scrollToIndex: (index, align = "auto") => virtualizer.scrollToIndex(index, { align }),
      atEnd: () => {
        const element = scroller.current;
        return element === null || element.scrollHeight - element.scrollTop - element.clientHeight < END_PX;
      },
    }),
    [virtualizer],
  );
  useImperativeHandle(props.ref, handle, [handle]);

  const items = virtualizer.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items[items.length - 1]?.index ?? -1;
  useEffect(() => {
    if (last >= first) onRange?.(first, last);
  }, [first, last, onRange]);

  return (
    // Focusable, so that the keyboard can scroll it.
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: every role that is given here has a name
    <div ref={scroller} className={classes("virtual-list", className)} role={role} aria-label={label} tabIndex={0}>
      <div className="virtual-list-space" style={{ height: virtualizer.getTotalSize() }}>
        {items.map((item) => (
          <div
            key={item.key}
            data-index={item.index}
            ref={fixed ? undefined : virtualizer.measureElement}
            className="virtual-list-row"
            style={{ transform: `translateY(${item.start}px)`, ...(fixed ? { height: item.size } : {}) }}
          >
            {render(item.index)}
          </div>
        ))}
      </div>
    </div>
  );
}
