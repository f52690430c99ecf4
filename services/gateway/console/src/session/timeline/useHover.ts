import { type FocusEvent, type PointerEvent, useCallback, useEffect, useState } from "react";

export interface Hover {
  readonly id: string;
  readonly anchor: DOMRect;
}

const SPAN = "[data-span]";

/** Which bar is under the pointer or has the focus, and where it is. Escape puts its facts away. */
export function useHover(): {
  readonly hover: Hover | null;
  readonly handlers: {
    onPointerOver(event: PointerEvent<HTMLElement>): void;
    onPointerOut(event: PointerEvent<HTMLElement>): void;
    onFocus(event: FocusEvent<HTMLElement>): void;
    onBlur(event: FocusEvent<HTMLElement>): void;
  };
  hide(): void;
} {
  const [hover, setHover] = useState<Hover | null>(null);
  const hide = useCallback(() => setHover(null), []);
  const show = (target: EventTarget | null) => {
    const bar = target instanceof Element ? target.closest<HTMLElement>(SPAN) : null;
    const id = bar?.dataset.span;
    if (bar && id !== undefined) setHover({ id, anchor: bar.getBoundingClientRect() });
    else setHover(null);
  };
  useEffect(() => {
    if (!hover) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") hide();
    };
    // The bar moves away under what was put beside it.
    document.addEventListener("scroll", hide, true);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("scroll", hide, true);
      document.removeEventListener("keydown", onKey);
    };
  }, [hover, hide]);
  return {
    hover,
    hide,
    handlers: {
      onPointerOver: (event) => {
        if (event.pointerType === "mouse" && event.buttons === 0) show(event.target);
      },
      onPointerOut: (event) => {
        if (event.pointerType === "mouse") show(event.relatedTarget);
      },
      onFocus: (event) => {
        if (event.target.matches(":focus-visible")) show(event.target);
      },
      onBlur: hide,
    },
  };
}
