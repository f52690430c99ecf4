import { HoldfastError, type Status } from "@holdfast/client";
import { emptyState, toPlain } from "@holdfast/client/fold";
import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { NotThere } from "../../src/session/NotThere.tsx";

function shown(state: Status["state"], status: number) {
  const error = new HoldfastError({ type: "t", title: "No", status, code: "refused", detail: "not today" });
  const live = { sessionId: "ses_1", state: toPlain(emptyState()), status: { state, attempt: 1 }, error };
  render(<NotThere live={{ ...live, reload: () => undefined }} />);
}

test("a session that can't be read for now is said to be tried again", () => {
  shown("waiting", 503);

  expect(screen.getByText(/tried again every few seconds/)).toBeTruthy();
  expect(screen.getByText("not today")).toBeTruthy();
});

test("of one that was refused for good nothing of the kind is said", () => {
  shown("failed", 403);

  expect(screen.queryByText(/tried again/)).toBeNull();
  expect(screen.queryByText(/right now/)).toBeNull();
  expect(screen.getByText("not today")).toBeTruthy();
  expect(screen.getByText("Try now")).toBeTruthy();
});
