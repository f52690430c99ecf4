import type { Client } from "@holdfast/client";
import { expect, test } from "vitest";
import { NEW_SESSION, type RunPlan, startRun } from "../../src/sessions/start.ts";

test("a session that was made for a run that is refused then is there for the next try", async () => {
  const asked: string[] = [];
  let refused = true;
  const client = {
    createSession: async ({ session_id }: { session_id: string }) => {
      if (asked.includes(`make ${session_id}`)) throw new Error("session-exists");
      asked.push(`make ${session_id}`);
      return { session_id };
    },
    startRun: async ({ session_id }: { session_id: string }) => {
      asked.push(`run in ${session_id}`);
      if (refused) throw new Error("the input doesn't fit");
      return { session_id };
    },
  } as unknown as Client;
  let plan: RunPlan = { ...NEW_SESSION, newId: " mine " };
  const start = () =>
    startRun(client, "team", {}, plan, (next) => {
      plan = next;
    });

  await expect(start()).rejects.toThrow("doesn't fit");
  refused = false;

  expect(await start()).toBe("mine");
  expect(asked).toEqual(["make mine", "run in mine", "run in mine"]);
});
