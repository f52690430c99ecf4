import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useRef, useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Icon } from "../../ui/Icon.tsx";
import "./Scroller.css";

export interface ScrollerHandle {
  /** Bring a row into the middle, wherever one was. */
  show(index: number): void;
}

interface ScrollerProps {
  readonly count: number;
  readonly rowKey: (index: number) => string;
  readonly render: (index: number) => ReactNode;
  readonly label: string;
  readonly ref?: Ref<ScrollerHandle>;
  /** Stands below the last row and moves with it. */
  readonly foot?: ReactNode;
}

/** A row's usual height. Rows are measured once they are seen. */
const ROW_PX = 92;

/** Two lines: who is this near to the end wants to stay there. */
const END_PX = 48;

/**
 * Rows of any height, of which only those in view exist. It stays at the end while one is there, whatever grows, and
 * where one is otherwise, whatever comes; then a button leads to the end.
 */
export function Scroller({ count, rowKey, render, label, ref, foot }: ScrollerProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const [seen, setSeen] = useState(count);
  const virtualizer = useVirtualizer({
    count: count + 1,
    estimateSize: (index) => (index === count ? 8 : ROW_PX),
    getScrollElement: () => scroller.current,
    getItemKey: (index) => (index === count ? "foot" : rowKey(index)),
    overscan: 8,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: END_PX,
  });

  // Rows are put before the foot: its key stays, so that the virtualizer sees no append. Whoever is at the end follows.
  const end = useRef(true);
  useEffect(() => {
    if (end.current && count >= 0) virtualizer.scrollToEnd();
  }, [count, virtualizer]);

  const look = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    end.current = element.scrollHeight - element.scrollTop - element.clientHeight <= END_PX;
    setAtEnd(end.current);
  }, []);
  useEffect(() => {
    if (atEnd) setSeen(count);
  }, [atEnd, count]);

  useImperativeHandle(
    ref,
    () => ({
      show: (index) => {
        end.current = false;
        virtualizer.scrollToIndex(index, { align: "center" });
      },
    }),
    [virtualizer],
  );

  const fresh = Math.max(count - seen, 0);
  return (
    <div className="scroller-frame">
      <div
        ref={scroller}
        className="scroller"
        onScroll={look}
        role="log"
        aria-live="off"
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        tabIndex={0}
      >
        <div className="scroller-space" style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((item) => (
            <div
              key={item.key}
              data-index={item.index}
              ref={virtualizer.measureElement}
              className="scroller-row"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {item.index === count ? foot : render(item.index)}
            </div>
          ))}
        </div>
      </div>
      {!atEnd && (
        <Button
          size="sm"
          className="scroller-jump"
          icon={<Icon name="chevronDown" size={14} />}
          onClick={() => {
            end.current = true;
            virtualizer.scrollToEnd();
          }}
        >
          {fresh > 0 ? `${fresh} new below` : "Jump to latest"}
        </Button>
      )}
    </div>
  );
}
