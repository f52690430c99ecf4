import { fold, toPlain } from "@holdfast/client/fold";
import { expect, test } from "vitest";
import { changesOf } from "../../../src/session/replay/diff.ts";
import { Log } from "../log.ts";

function changesBy(log: Log, seq: number) {
  const upTo = (last: number) => toPlain(fold(log.events.filter((event) => event.seq <= last)));
  return changesOf(upTo(seq - 1), upTo(seq));
}

/** As the controller does it: one fold that goes on, so that entries that stay are the same objects. */
function lastChanges(log: Log) {
  return changesBy(log, log.head);
}

test("a piece of text is told as what was added", () => {
  const log = Log.talk(3);

  const [change] = changesBy(log, 5);

  expect(change).toMatchObject({ kind: "changed", table: "messages" });
  expect(change?.fields).toMatchObject([{ field: "content", appended: "2 " }]);
});

test("what begins is told with what is known of it and nothing else", () => {
  const log = new Log().add("session.created").add("run.started", { data: { workflow: "w", workflow_version: "1" } });
  log.add("step.started", { step: "s", agent: "Ann", data: { name: "fetch" } });

  const [change] = lastChanges(log);

  expect(change).toMatchObject({ kind: "added", table: "steps", entry: "fetch" });
  expect(change?.fields.map(({ field }) => field)).toEqual(["key", "agent", "status", "attempt"]);
});

test("the end of a run tells everything that it closed", () => {
  const log = new Log().add("session.created").add("run.started", { data: { workflow: "w", workflow_version: "1" } });
  log.add("step.started", { step: "s", data: { name: "fetch" } });
  log.add("tool.started", { step: "s", data: { name: "curl", call_id: "c" } });
  log.add("run.failed", { data: { duration_ms: 9, error: { code: "x", message: "no" } } });

  const changes = lastChanges(log);

  expect(changes.map(({ table, kind }) => `${kind} ${table}`)).toEqual([
    "changed runs",
    "changed steps",
    "changed tools",
  ]);
});

test("an event that the state doesn't show changes nothing", () => {
  const log = Log.talk(3).add("middleware.executed", { data: { name: "m", duration_ms: 1 } });

  expect(lastChanges(log)).toEqual([]);
});

test("a question that was answered is gone", () => {
  const log = new Log().add("session.created").add("run.started", { data: { workflow: "w", workflow_version: "1" } });
  log.add("input.requested", { data: { input_id: "i", prompt: "Sure?" } });
  log.add("input.received", { data: { input_id: "i", duration_ms: 3 } });

  expect(lastChanges(log).find(({ table }) => table === "pending_inputs")).toMatchObject({
    kind: "removed",
    entry: "Sure?",
  });
});
