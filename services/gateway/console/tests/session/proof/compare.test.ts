import { expect, it } from "vitest";
import { differenceOf } from "../../../src/session/proof/compare.ts";

it("finds no difference between equal values, whatever the order of their keys", () => {
  expect(differenceOf({ a: [1, { b: null }], c: "x" }, { c: "x", a: [1, { b: null }] })).toBeNull();
});

it.each([
  [{ a: 1 }, { a: 2 }, "a"],
  [{ a: { b: [0, { c: "x" }] } }, { a: { b: [0, { c: "y" }] } }, "a.b.1.c"],
  [{ a: [1] }, { a: [1, 2] }, "a.1"],
  [{ a: 1, b: 2 }, { a: 1 }, "b"],
  [{ a: 1 }, { a: 1, b: undefined }, "b"],
  [{ a: [] }, { a: {} }, "a"],
  [{ a: null }, { a: {} }, "a"],
])("names the place where %j and %j differ", (mine, theirs, where) => {
  expect(differenceOf(mine, theirs)).toBe(where);
});
