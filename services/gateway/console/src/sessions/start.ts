/** What is asked of the gateway to start a run as it was planned. */

import type { Client, OnBusy } from "@holdfast/client";

/** Where and when a run begins. Texts are as they stand in the fields; empty means not given. */
export interface RunPlan {
  readonly session: "new" | "existing";
  readonly newId: string;
  readonly existingId: string;
  readonly onBusy: OnBusy;
  /** As `<input type="datetime-local">` has it: the browser's own time zone. */
  readonly startAt: string;
  readonly userId: string;
}

export const NEW_SESSION: RunPlan = {
  session: "new",
  newId: "",
  existingId: "",
  onBusy: "enqueue",
  startAt: "",
  userId: "",
};

/**
 * Start the run; return its session's id. Raises what the gateway refused it with. A session that was made for it is
 * there also when the run is refused: `onPlan` is told of the plan that goes on with it.
 */
export async function startRun(
  client: Client,
  workflow: string,
  input: unknown,
  plan: RunPlan,
  onPlan: (plan: RunPlan) => void,
): Promise<string> {
  const sessionId = await sessionFor(client, plan);
  if (sessionId !== null && plan.session === "new") onPlan({ ...plan, session: "existing", existingId: sessionId });
  const accepted = await client.startRun({
    workflow,
    input,
    on_busy: plan.onBusy,
    ...(sessionId === null ? {} : { session_id: sessionId }),
    ...(plan.startAt === "" ? {} : { start_at: new Date(plan.startAt).toISOString() }),
    ...(plan.userId.trim() === "" ? {} : { user_id: plan.userId.trim() }),
  });
  return accepted.session_id;
}

/** Return the session that the run is for; null leaves it to the gateway to make one. */
async function sessionFor(client: Client, plan: RunPlan): Promise<string | null> {
  if (plan.session === "existing") {
    const id = plan.existingId.trim();
    if (id === "") throw new Error("Name the session, or choose a new one.");
    return id;
  }
  const id = plan.newId.trim();
  if (id === "") return null;
  return (await client.createSession({ session_id: id })).session_id;
}
