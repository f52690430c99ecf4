import { type PointerEvent, type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Scale } from "./scale.ts";
import { FIT, type Look, lookOf, panned, revealing, type Window, windowOf, zoomed } from "./window.ts";

/** A notch of a mouse wheel is 100 to 120 units and zooms by a fifth; a touchpad's small steps add up to the same. */
const WHEEL_ZOOM = 0.002;

/** Below so many pixels a press is a click. */
const DRAG_MIN_PX = 4;

export interface Looking {
  readonly look: Look;
  readonly view: Window;
  zoom(factor: number, share?: number): void;
  pan(share: number): void;
  fit(): void;
  reveal(from: number, to: number): void;
  /** Where something is looked at again, exactly: a double click on it. */
  focus(start: number, end: number): void;
  readonly pointer: {
    onPointerDown(event: PointerEvent<HTMLElement>): void;
    onPointerMove(event: PointerEvent<HTMLElement>): void;
    onPointerUp(event: PointerEvent<HTMLElement>): void;
    onPointerCancel(event: PointerEvent<HTMLElement>): void;
  };
  /** True right after a drag: the click that ends it is none. */
  dragged(): boolean;
}

interface Chart {
  /** What listens to the wheel and the pointer. */
  readonly frame: RefObject<HTMLElement | null>;
  /** Pixels that names take at the left. */
  readonly left: number;
  readonly width: number;
}

/** What part of the time is looked at, moved by wheel, drag, pinch and keys. */
export function useLook(scale: Scale, chart: Chart): Looking {
  const [look, setLook] = useState<Look>(FIT);
  const view = useMemo(() => windowOf(look, scale), [look, scale]);
  const now = useRef({ scale, view, chart });
  now.current = { scale, view, chart };
  const move = useCallback((change: (view: Window, scale: Scale) => Window) => {
    const { scale, view } = now.current;
    const next = change(view, scale);
    // Several moves may come before the next render.
    now.current = { ...now.current, view: next };
    setLook(lookOf(next, scale));
  }, []);

  const zoom = useCallback(
    (factor: number, share = 0.5) => move((view, scale) => zoomed(view, factor, share, scale)),
    [move],
  );
  const pan = useCallback((share: number) => move((view, scale) => panned(view, share, scale)), [move]);
  useWheel(chart.frame, now, zoom, pan);

  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const moved = useRef(false);
  const shareOf = (x: number): number => {
    const { chart } = now.current;
    const box = chart.frame.current?.getBoundingClientRect();
    return box ? Math.min(1, Math.max(0, (x - box.left - chart.left) / chart.width)) : 0.5;
  };

  return {
    look,
    view,
    zoom,
    pan,
    fit: useCallback(() => setLook(FIT), []),
    reveal: useCallback(
      (from, to) => move((view, scale) => revealing(view, scale.toDrawn(from), scale.toDrawn(to), scale)),
      [move],
    ),
    focus: useCallback(
      (start, end) =>
        move((_, scale) => {
          const [from, to] = [scale.toDrawn(start), scale.toDrawn(end)];
          const margin = Math.max(to - from, 20) * 0.15;
          return zoomed({ from: from - margin, to: to + margin }, 1, 0.5, scale);
        }),
      [move],
    ),
    dragged: () => moved.current,
    pointer: {
      onPointerDown(event) {
        if (event.pointerType === "mouse" && event.button !== 0) return;
        moved.current = false;
        fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
      },
      onPointerMove(event) {
        const before = fingers.current.get(event.pointerId);
        if (!before) return;
        // Let go outside, before it was a drag: nobody told us.
        if (event.pointerType === "mouse" && event.buttons === 0) {
          fingers.current.delete(event.pointerId);
          return;
        }
        const by = event.clientX - before.x;
        if (!moved.current && Math.abs(by) < DRAG_MIN_PX && fingers.current.size < 2) return;
        if (!moved.current) event.currentTarget.setPointerCapture(event.pointerId);
        moved.current = true;
        const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
        fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
        if (other === undefined) pan(-by / now.current.chart.width);
        else {
          const apart = Math.max(Math.abs(before.x - other.x), 10);
          zoom(apart / Math.max(Math.abs(event.clientX - other.x), 10), shareOf((event.clientX + other.x) / 2));
        }
      },
      onPointerUp(event) {
        fingers.current.delete(event.pointerId);
      },
      onPointerCancel(event) {
        fingers.current.delete(event.pointerId);
      },
    },
  };
}

// React listens to wheels passively: what has to keep the page from zooming has to listen for itself.
function useWheel(
  frame: RefObject<HTMLElement | null>,
  now: RefObject<{ chart: Chart }>,
  zoom: Looking["zoom"],
  pan: Looking["pan"],
): void {
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      const { left, width } = now.current.chart;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const share = (event.clientX - element.getBoundingClientRect().left - left) / width;
        zoom(Math.exp(event.deltaY * WHEEL_ZOOM), Math.min(1, Math.max(0, share)));
        return;
      }
      const by = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (Math.abs(by) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
      event.preventDefault();
      pan(by / width);
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [frame, now, zoom, pan]);
}
