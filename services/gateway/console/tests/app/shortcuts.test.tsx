import { act, render, renderHook, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ANNOUNCE_EVERY_MS, Announcer, useAnnounce } from "../../src/app/announcer.tsx";
import { listenForShortcuts, useShortcut } from "../../src/app/shortcuts.ts";

const press = (key: string, target: EventTarget = document.body, more: KeyboardEventInit = {}) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));

describe("a key", () => {
  let stop = () => {};
  beforeEach(() => {
    stop = listenForShortcuts();
  });
  afterEach(() => stop());

  test("does what the page that is shown says, and nothing once that is gone", () => {
    const run = vi.fn();
    const page = renderHook(() => useShortcut(["j", "ArrowDown"], "Next", run));

    press("j");
    press("ArrowDown");
    expect(run).toHaveBeenCalledTimes(2);

    page.unmount();
    press("j");
    expect(run).toHaveBeenCalledTimes(2);
  });

  test("does what the newest render says", () => {
    const first = vi.fn();
    const second = vi.fn();
    const page = renderHook(({ run }) => useShortcut("j", "Next", run), { initialProps: { run: first } });

    page.rerender({ run: second });
    press("j");

    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledOnce();
  });

  test("that is typed into a field, presses a button or belongs to the browser stays theirs", () => {
    const run = vi.fn();
    renderHook(() => useShortcut(["j", "Enter", "Space"], "Next", run));
    render(
      <>
        <input aria-label="field" />
        <button type="button">press</button>
      </>,
    );

    press("j", screen.getByLabelText("field"));
    press("Enter", screen.getByText("press"));
    press(" ", screen.getByText("press"));
    press("j", document.body, { ctrlKey: true });

    expect(run).not.toHaveBeenCalled();
  });
});

test("screen readers are told the last of what happened, once in a while", () => {
  vi.useFakeTimers();
  const announce = renderHook(useAnnounce, { wrapper: Announcer }).result.current;
  const said = () => screen.getByRole("status").textContent;

  act(() => {
    announce("one");
    announce("two");
    announce("three");
  });
  expect(said()).toBe("one");
  act(() => vi.advanceTimersByTime(ANNOUNCE_EVERY_MS));
  expect(said()).toBe("three");
  vi.useRealTimers();
});
