import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { EventLine } from "../../../src/session/inspector/EventLine.tsx";

test("a line tells its place among those that are listed, whatever its seq", () => {
  render(
    <EventLine id="e" seq={1_337} place="loading" index={2} count={40} selected={false} onPick={() => undefined} />,
  );

  const line = screen.getByRole("option");
  expect(line.getAttribute("aria-posinset")).toBe("3");
  expect(line.getAttribute("aria-setsize")).toBe("40");
  expect(line.textContent).toContain("1,337");
});
