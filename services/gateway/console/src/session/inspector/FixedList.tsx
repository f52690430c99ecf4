import {
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useCallback,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { poolOf, rowsIn, scrollTopFor, spaceOf } from "./rows.ts";

export interface FixedListHandle {
  /** Bring a row into view; nothing moves when it is. */
  reveal(index: number): void;
  toEnd(): void;
  focus(): void;
}

interface FixedListProps {
  readonly count: number;
  readonly rowPx: number;
  readonly render: (index: number) => ReactNode;
  readonly label: string;
  /** The row that the keys act on, and its element's id; -1 for none. */
  readonly active: { readonly index: number; readonly id: string };
  readonly ref?: Ref<FixedListHandle>;
  onRange(first: number, last: number): void;
  /** Whether the end is in view: who looks at the end follows it. */
  onEnd(atEnd: boolean): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** Rows of one height, as many as there are: only those in view exist, and nothing is kept per row. */
export function FixedList({ count, rowPx, render, label, active, ref, onRange, onEnd, onKeyDown }: FixedListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const space = spaceOf(count, rowPx);
  const rows = rowsIn({ count, rowPx, ...view });

  const look = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    setView({ top: element.scrollTop, height: element.clientHeight });
    onEnd(element.scrollHeight - element.scrollTop - element.clientHeight < rowPx);
  }, [onEnd, rowPx]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setView({ top: element.scrollTop, height: element.clientHeight }));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  useLayoutEffect(() => onRange(rows.first, rows.last), [rows.first, rows.last, onRange]);

  useImperativeHandle(
    ref,
    () => ({
      reveal: (index) => {
        const element = scroller.current;
        if (element === null) return;
        const shape = { count, rowPx, top: element.scrollTop, height: element.clientHeight };
        element.scrollTop = scrollTopFor(index, shape);
      },
      toEnd: () => {
        const element = scroller.current;
        if (element !== null) element.scrollTop = element.scrollHeight;
      },
      focus: () => scroller.current?.focus({ preventScroll: true }),
    }),
    [count, rowPx],
  );

  // Elements are used again for other rows: a drag through the list makes none and drops none.
  const pool = poolOf(view.height, rowPx);
  const drawn: ReactNode[] = [];
  for (let index = rows.first; index <= rows.last; index += 1) {
    drawn.push(
      <div key={index % pool} className="fixed-row" style={{ height: rowPx }}>
        {render(index)}
      </div>,
    );
  }
  return (
    <div
      ref={scroller}
      className="fixed-list"
      role="listbox"
      aria-label={label}
      aria-activedescendant={active.index >= rows.first && active.index <= rows.last ? active.id : undefined}
      tabIndex={0}
      onScroll={look}
      onKeyDown={onKeyDown}
    >
      <div className="fixed-space" role="presentation" style={{ height: space }}>
        <div className="fixed-drawn" role="presentation" style={{ transform: `translateY(${rows.offset}px)` }}>
          {drawn}
        </div>
      </div>
    </div>
  );
}
