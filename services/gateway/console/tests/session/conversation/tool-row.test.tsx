import type { ToolCall } from "@holdfast/client/fold";
import { fireEvent, render, screen } from "@testing-library/react";
import { describe, expect, test } from "vitest";
import { ToolRow } from "../../../src/session/conversation/rows/ToolRow.tsx";
import { summary } from "../../../src/session/conversation/summary.ts";
import { factsOf, tableOf } from "../../../src/session/conversation/table.ts";

function call(more: Partial<ToolCall>): ToolCall {
  return {
    ...{ run_id: "r", step: "s", agent: "Ann", lane: null, ts: "2026-11-21T09:00:00.000Z" },
    ...{ call_id: "c", name: "search", args: { query: "tea" }, status: "running", progress: null },
    ...{ result: null, content_type: null, error: null, withdrawn: false, duration_ms: null },
    ...more,
  };
}

const open = () => fireEvent.click(screen.getByRole("button", { name: /search/ }));

describe("a tool's card", () => {
  test("while it runs it shows what it was called with and how far it is", () => {
    render(<ToolRow call={call({ progress: { text: "page 2", fraction: 0.5 } })} />);

    expect(screen.getByText('query: "tea"')).toBeTruthy();
    expect(screen.getByRole("progressbar", { name: "Progress of search" }).getAttribute("aria-valuenow")).toBe("50");
    expect(screen.getByText("running")).toBeTruthy();
  });

  test("progress without a number is a bar without one", () => {
    render(<ToolRow call={call({ progress: { text: "looking", fraction: null } })} />);

    expect(screen.getByRole("progressbar").hasAttribute("aria-valuenow")).toBe(false);
  });

  test("a failure is seen without opening it", () => {
    const error = { code: "timeout", message: "the shop did not answer" };

    render(<ToolRow call={call({ status: "failed", error })} />);

    expect(screen.getByText("the shop did not answer")).toBeTruthy();
    expect(screen.getByText("failed")).toBeTruthy();
  });

  test("opened, records are a table and other objects a tree or facts", () => {
    const result = [
      { city: "Oslo", celsius: 4 },
      { city: "Rome", celsius: 21 },
    ];
    render(<ToolRow call={call({ status: "completed", result, content_type: "application/json" })} />);
    expect(screen.getByText("2 × {city, celsius}")).toBeTruthy();

    open();

    expect(screen.getAllByRole("columnheader").map((cell) => cell.textContent)).toEqual(["city", "celsius"]);
    expect(screen.getByRole("button", { expanded: true })).toBeTruthy();
  });

  test("a text result is text, whatever is in it", () => {
    const result = "<b>bold</b> \u001b[31m";
    const { container } = render(<ToolRow call={call({ status: "completed", result, content_type: "text/html" })} />);

    open();

    expect(container.querySelector("b")).toBeNull();
    expect(container.textContent).toContain("<b>bold</b>");
  });

  test("a JSON text is read as JSON where it says that it is", () => {
    const result = '{"a": {"b": 1}}';
    render(<ToolRow call={call({ status: "completed", result, content_type: "application/json" })} />);

    open();

    expect(screen.getAllByText("a").length).toBeGreaterThan(0);
  });

  test("nothing is nothing, not null", () => {
    render(<ToolRow call={call({ status: "completed", args: null })} />);

    open();

    expect(screen.getByText("none")).toBeTruthy();
    expect(screen.getByText("nothing")).toBeTruthy();
  });
});

describe("values on one line", () => {
  test.each([
    ["a  text\nof two lines", "a text of two lines"],
    [{ a: "x", b: [1, 2], c: { d: 1 }, e: null }, 'a: "x", b: [1, 2], c: {…}, e: null'],
    [[], "[]"],
    [7, "7"],
    [null, ""],
  ])("%j is %j", (value, line) => {
    expect(summary(value)).toBe(line);
  });

  test("however large, it is cut and quick", () => {
    const large = { text: "x".repeat(1_000_000), list: Array.from({ length: 100_000 }, (_, n) => n) };

    expect(summary(large).length).toBeLessThan(200);
  });
});

describe("tables", () => {
  test("records that have little in common are no table", () => {
    expect(tableOf([{ a: 1 }, { b: 2 }, { c: 3 }])).toBeNull();
    expect(tableOf([{ a: { b: 1 } }])).toBeNull();
    expect(tableOf([1, 2])).toBeNull();
    expect(tableOf([])).toBeNull();
  });

  test("a key may be called anything", () => {
    const [row] = JSON.parse('[{"__proto__": 1, "constructor": 2}]') as unknown[];

    expect(tableOf([row])?.columns).toEqual(["__proto__", "constructor"]);
    expect(tableOf([row])?.rows[0]?.constructor).toBe(2);
  });

  test("a flat object is names and values, a deep one a tree", () => {
    expect(factsOf({ a: 1, b: "x" })).toEqual([
      ["a", 1],
      ["b", "x"],
    ]);
    expect(factsOf({ a: [] })).toBeNull();
    expect(factsOf({})).toBeNull();
  });
});
