import { describe, expect, test } from "vitest";
import { typesOf } from "../../../src/session/inspector/Filters.tsx";
import { poolOf, rowsIn, SPACE_PX_MAX, scrollTopFor, spaceOf } from "../../../src/session/inspector/rows.ts";

const height = 560;
const rowPx = 28;

describe.each([10, 1_000, 100_000, 5_000_000])("a list of %d rows", (count) => {
  const most = Math.max(spaceOf(count, rowPx) - height, 0);
  const at = (top: number) => rowsIn({ count, rowPx, top, height });

  test("shows its first row at the top and its last at the end", () => {
    expect(at(0)).toMatchObject({ first: 0, offset: 0 });
    expect(at(most).last).toBe(count - 1);
    // Where the last row ends, the space ends.
    const { first, offset } = at(most);
    expect(Math.round(offset + (count - first) * rowPx)).toBe(
      Math.round(Math.max(spaceOf(count, rowPx), count * rowPx > height ? 0 : count * rowPx)),
    );
  });

  test("covers what is in view, wherever it is scrolled", () => {
    for (const share of [0, 0.1, 0.333, 0.5, 0.9, 1]) {
      const top = most * share;
      const { first, last, offset } = at(top);
      expect(offset).toBeLessThanOrEqual(top + 1e-6);
      const end = offset + (last - first + 1) * rowPx;
      expect(end >= top + height - 1e-6 || last === count - 1).toBe(true);
    }
  });

  test("never draws more than its pool", () => {
    for (let top = 0; top < most; top += most / 97 + 1) {
      const { first, last } = at(top);
      expect(last - first + 1).toBeLessThanOrEqual(poolOf(height, rowPx));
    }
  });

  test("brings any row into view", () => {
    for (const index of [0, Math.floor(count / 3), count - 1]) {
      const top = scrollTopFor(index, { count, rowPx, top: most / 2, height });
      const { first, last } = at(top);
      expect(index).toBeGreaterThanOrEqual(first);
      expect(index).toBeLessThanOrEqual(last);
    }
  });
});

test("no browser is asked for more pixels than it has", () => {
  expect(spaceOf(100_000_000, rowPx)).toBe(SPACE_PX_MAX);
});

test("a row in view moves nothing", () => {
  expect(scrollTopFor(10, { count: 1_000, rowPx, top: 100, height })).toBe(100);
});

test("half a type is no filter yet, a family's name is one", () => {
  expect(typesOf("message, run.failed,tool.*  mess step.")).toEqual(["message.*", "run.failed", "tool.*"]);
});
