import type { HoldfastEvent } from "@holdfast/client";
import { expect, test } from "vitest";
import { SAID_MAX, saidOf } from "../../src/session/said.ts";

const event = (type: string, data: object, agent?: string) =>
  ({ v: 1, seq: 1, type, session_id: "s", run_id: "r", ts: "", agent, data }) as unknown as HoldfastEvent;

test("a short message is said whole, by whom it is", () => {
  expect(saidOf(event("message.completed", { role: "assistant", content: "Hello" }, "Ann"))).toBe("Ann: Hello");
});

test.each([
  ["message.completed", { role: "assistant", content: "x".repeat(256 * 1024) }],
  ["input.requested", { prompt: "x".repeat(4_000) }],
  ["run.failed", { error: { message: "x".repeat(4_000) } }],
])("of a long %s only the beginning is said, and that there is more", (type, data) => {
  const said = saidOf(event(type, data)) ?? "";

  expect(said).toMatch(/x… and more$/);
  expect(said.length).toBeLessThan(SAID_MAX + 20);
});

test("no character is cut in half", () => {
  const said = saidOf(event("message.completed", { role: "a", content: `${"x".repeat(SAID_MAX - 4)}😀😀` }));

  expect(said).toBe(`a: ${"x".repeat(SAID_MAX - 4)}… and more`);
});

test("pieces of a message and the like are not said", () => {
  expect(saidOf(event("message.delta", { text: "He" }))).toBeNull();
});
