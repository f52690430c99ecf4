/** What is going on right now where nothing shows it yet: the moment between two words. */

import type { State } from "@holdfast/client/fold";

/** Return a sentence, or null when nothing is going on or what goes on is seen. */
export function activity(state: State, stalled: boolean): string | null {
  const runs = state.runs.filter((run) => run.parent_run_id === null);
  const running = runs.findLast((run) => run.status === "running");
  if (running === undefined) {
    const queued = runs.findLast((run) => run.status === "queued");
    if (queued !== undefined && !runs.some((run) => run.status === "waiting")) return "Waiting for a worker";
    const waiting = runs.findLast((run) => run.status === "waiting");
    // A question says for itself that it waits.
    return waiting !== undefined && state.pending_inputs.length === 0 ? "The run waits for its time to come" : null;
  }
  if (stalled) return "The worker is gone; another one takes over in a few seconds";
  if (state.messages.some((message) => !message.complete && !message.cut && !message.withdrawn)) return null;
  if (state.reasoning.some((thought) => !thought.complete && !thought.cut && !thought.withdrawn)) return null;
  const tool = state.tools.findLast((call) => call.status === "running" && !call.withdrawn);
  if (tool !== undefined) return null;
  const agents = state.agents.filter((agent) => agent.status === "running").map((agent) => agent.name);
  // A run that was told something while it asks looks at that, and goes on waiting.
  if (agents.length === 0 && state.pending_inputs.length > 0) return null;
  const asked = state.llm_calls.some((call) => call.status === "running" && !call.withdrawn);
  const who = agents.length === 0 ? "The run" : agents.length > 3 ? `${agents.length} agents` : listed(agents);
  const are = agents.length > 1 ? "are" : "is";
  return `${who} ${are} ${asked ? "thinking" : "at work"}`;
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
