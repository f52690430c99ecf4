import { type Client, HoldfastError } from "@holdfast/client";
import type { PendingInput } from "@holdfast/client/fold";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { afterRefusal, hindrance, OPEN, timeLeft } from "../../../src/session/inputs/answer.ts";
import { QuestionForm } from "../../../src/session/inputs/InputDock.tsx";
import { quickInput } from "../../../src/session/inputs/quick.ts";

const NOW = Date.parse("2026-11-21T09:00:00.000Z");

function question(more: Partial<PendingInput> = {}): PendingInput {
  return {
    ...{ run_id: "run_1", step: null, agent: null, lane: null, ts: "2026-11-21T09:00:00.000Z" },
    ...{ input_id: "i", prompt: "How many?", deadline: null },
    value_schema: {
      type: "object",
      properties: { copies: { type: "integer", title: "Copies" } },
      required: ["copies"],
    },
    ...more,
  };
}

function refused(status: number, code: string, errors?: { in: string; pointer: string; detail: string }[]) {
  const problem = { type: "t", title: code, status, code, detail: `refused: ${code}` };
  return new HoldfastError(errors ? { ...problem, errors } : problem);
}

function form(respond: () => Promise<unknown>, asked = question(), live = true) {
  const sent = vi.fn(respond);
  const client = { respond: sent } as unknown as Client;
  const view = render(<QuestionForm client={client} question={asked} live={live} />);
  return { sent, view, client };
}

const answer = (copies: string) => {
  fireEvent.change(screen.getByLabelText(/Copies/), { target: { value: copies } });
  fireEvent.click(screen.getByRole("button", { name: "Answer" }));
};

beforeEach(() => vi.useFakeTimers({ now: NOW, toFake: ["Date"] }));
afterEach(() => vi.useRealTimers());

describe("a question", () => {
  test("is answered with what its schema makes of the form, once", async () => {
    const { sent } = form(async () => ({}));

    answer("3");
    await screen.findByText(/The run goes on/);

    expect(sent.mock.calls).toEqual([["run_1", "i", { copies: 3 }]]);
    fireEvent.click(screen.getByRole("button", { name: "Answer" }));
    expect(sent).toHaveBeenCalledTimes(1);
  });

  test("that the gateway refuses says so at the field, and can be answered again", async () => {
    const wrong = [{ in: "body", pointer: "/value/copies", detail: "30 is more than 9" }];
    const { sent } = form(async () => {
      throw refused(422, "value-invalid", wrong);
    });

    answer("30");
    await screen.findByText("30 is more than 9");

    expect(screen.getByLabelText(/Copies/).getAttribute("aria-invalid")).toBe("true");
    answer("4");
    await waitFor(() => expect(sent).toHaveBeenCalledTimes(2));
  });

  test("that somebody else answered first says so, and can't be answered any more", async () => {
    form(async () => {
      throw refused(409, "input-answered");
    });

    answer("3");

    await screen.findByText(/Somebody else answered first/);
    expect((screen.getByRole("button", { name: "Answer" }) as HTMLButtonElement).disabled).toBe(true);
  });

  test("of a run that has ended meanwhile is over", async () => {
    form(async () => {
      throw refused(409, "run-ended");
    });

    answer("3");

    await screen.findByText(/The run has ended/);
  });

  test("may be tried again when the gateway was away", async () => {
    let away = true;
    const { sent } = form(async () => {
      if (away) throw refused(503, "store-unavailable");
    });
    answer("3");
    await screen.findByText("refused: store-unavailable");

    away = false;
    fireEvent.click(screen.getByRole("button", { name: "Answer" }));

    await screen.findByText(/The run goes on/);
    expect(sent).toHaveBeenCalledTimes(2);
  });

  test("can't be answered once its time is over", () => {
    form(async () => ({}), question({ deadline: "2026-11-21T08:59:59.000Z" }));

    expect(screen.getByText("The time to answer is over.")).toBeTruthy();
    expect((screen.getByRole("button", { name: "Answer" }) as HTMLButtonElement).disabled).toBe(true);
  });

  test("counts down, and closes by itself", async () => {
    vi.useFakeTimers({ now: NOW });
    form(async () => ({}), question({ deadline: "2026-11-21T09:00:02.000Z" }));
    expect(screen.getByText("2.00 s left")).toBeTruthy();

    await act(() => vi.advanceTimersByTimeAsync(3_000));

    expect(screen.getByText("The time to answer is over.")).toBeTruthy();
  });

  test("of the past can't be answered", () => {
    form(async () => ({}), question(), false);

    expect(screen.getByText(/go back to live/)).toBeTruthy();
  });
});

describe("the rules behind it", () => {
  test("a deadline that nobody can read is none", () => {
    expect(timeLeft(null, NOW)).toBeNull();
    expect(timeLeft("soon", NOW)).toBeNull();
  });

  test("the last minutes are seen", () => {
    expect(timeLeft("2026-11-21T09:04:00Z", NOW)).toMatchObject({ soon: true, over: false });
    expect(timeLeft("2026-11-21T10:00:00Z", NOW)).toMatchObject({ soon: false, over: false });
    expect(timeLeft("2026-11-21T09:00:00Z", NOW)).toMatchObject({ over: true });
  });

  test("what another try may mend closes nothing", () => {
    expect(afterRefusal(refused(422, "value-invalid"))).toBeNull();
    expect(afterRefusal(new TypeError("Failed to fetch"))).toBeNull();
    expect(hindrance(OPEN, null, true)).toBeNull();
  });
});

describe("a workflow that one text starts", () => {
  test("takes a text, or an object that needs one", () => {
    expect(quickInput({ type: "string" })?.toInput("x")).toBe("x");
    const needsOne = { type: "object", properties: { topic: { type: "string" }, n: { type: "integer", default: 3 } } };
    expect(quickInput({ ...needsOne, required: ["topic"] })?.toInput("x")).toEqual({ topic: "x" });
    expect(quickInput({ ...needsOne, required: ["topic"] })?.pointer).toBe("/input/topic");
  });

  test("doesn't take more, or something else", () => {
    const two = { type: "object", properties: { a: { type: "string" }, b: { type: "string" } }, required: ["a", "b"] };
    expect(quickInput(two)).toBeNull();
    expect(quickInput({ type: "object", properties: { n: { type: "integer" } }, required: ["n"] })).toBeNull();
    expect(quickInput({ type: "object", properties: { a: { type: "string" }, b: { type: "string" } } })).toBeNull();
    expect(quickInput(null)).toBeNull();
  });
});
