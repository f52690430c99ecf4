import { act, renderHook } from "@testing-library/react";
import { type PointerEvent, useRef } from "react";
import { expect, test } from "vitest";
import { scaleOf } from "../../../src/session/timeline/scale.ts";
import { useLook } from "../../../src/session/timeline/useLook.ts";

const pointer = (clientX: number, buttons: number) =>
  ({
    ...{ pointerType: "mouse", button: 0, pointerId: 1, clientX, clientY: 0, buttons },
    currentTarget: { setPointerCapture: () => undefined },
  }) as unknown as PointerEvent<HTMLElement>;

test("a button that was let go outside of the picture drags nothing when the pointer is back", () => {
  const scale = scaleOf([[0, 10_000]], 0, 10_000, false);
  const used = renderHook(() => useLook(scale, { frame: useRef(document.body), left: 0, width: 1_000 }));
  act(() => used.result.current.zoom(0.5));
  const before = used.result.current.view;

  act(() => used.result.current.pointer.onPointerDown(pointer(100, 1)));
  act(() => used.result.current.pointer.onPointerMove(pointer(300, 0)));

  expect(used.result.current.view).toEqual(before);
  expect(used.result.current.dragged()).toBe(false);
  act(() => used.result.current.pointer.onPointerDown(pointer(300, 1)));
  act(() => used.result.current.pointer.onPointerMove(pointer(200, 1)));
  expect(used.result.current.view).not.toEqual(before);
});
