import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Filter } from "../../../src/session/inspector/search.ts";
import { FOLLOW_MS, useSearch } from "../../../src/session/inspector/useSearch.ts";
import type { ReadPage, WirePage } from "../../../src/session/inspector/wire.ts";
import { SLOWER_MAX } from "../../../src/ui/poll.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const FILTER: Filter = { types: [], agent: "", text: "kelp" };
const PAGE: WirePage = { bodies: [], nextAfter: 10, head: 10, minSeq: 1 };

test("a search that fails is tried again half as often each time, and as often as before once it is well", async () => {
  const read = vi.fn<ReadPage>(() => Promise.reject(new Error("away")));
  const { result, rerender } = renderHook(({ head }) => useSearch(read, FILTER, 1, head), {
    initialProps: { head: 10 },
  });
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
  await pass(0);
  expect(read).toHaveBeenCalledTimes(1);

  for (const slower of [2, 4, 8, SLOWER_MAX]) {
    const before = read.mock.calls.length;
    await pass(FOLLOW_MS * slower - 1);
    expect(read).toHaveBeenCalledTimes(before);
    await pass(1);
    expect(read).toHaveBeenCalledTimes(before + 1);
  }
  expect(result.current.error).toBe("away");

  read.mockResolvedValue(PAGE);
  await pass(FOLLOW_MS * SLOWER_MAX);
  expect(result.current).toMatchObject({ error: null, busy: false, through: 10 });

  read.mockClear().mockResolvedValue({ ...PAGE, nextAfter: 11, head: 11 });
  rerender({ head: 11 });
  await pass(FOLLOW_MS);
  expect(read).toHaveBeenCalledTimes(1);
});
