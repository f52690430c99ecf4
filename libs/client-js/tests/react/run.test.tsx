// @vitest-environment happy-dom
import { cleanup, renderHook } from "@testing-library/react";
import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type UsedRun, useRun, useSession } from "../../src/react/index.js";
import type { Client } from "../../src/types.js";
import { during, frame, frames, happened, Rig, said, started, stateOf } from "./rig.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function used(rig: Rig, id: string | null = "r") {
  const hook = renderHook(() => useRun(rig.client, id), { wrapper: StrictMode });
  await during(async () => {});
  return { ...hook, now: (): UsedRun => hook.result.current };
}

const view = { run_id: "r", session_id: "s" };

it("shows a run and those below it, and nothing of the session's others", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  const child = { run_id: "c", parent_run_id: "r" };
  await during(async () => rig.latest("/runs/r").status(200, view));

  const stream = await rig.begin(
    stateOf(
      happened(1, "run.started", { workflow: "other", workflow_version: "1" }, { run_id: "o" }),
      happened(2, "message.completed", { message_id: "om", content: "other", duration_ms: 1 }, { run_id: "o" }),
      happened(3, "run.started", { workflow: "w", workflow_version: "1" }),
      happened(4, "run.started", { workflow: "w2", workflow_version: "1" }, child),
      happened(5, "message.completed", { message_id: "cm", content: "child", duration_ms: 1 }, child),
      said(6, "mine"),
    ),
  );

  expect(stream.url.pathname).toBe("/v1/runs/r/stream");
  expect(stream.url.searchParams.get("after")).toBe("6");
  expect(now().messages.map((message) => message.content)).toEqual(["child", "mine"]);
  expect(now().run?.workflow).toBe("w");
  expect(now().runs.map((run) => run.run_id)).toEqual(["r", "c"]);
});

it("ends with the run's terminal event and asks no more", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  await during(async () => rig.latest("/runs/r").status(200, view));
  const stream = await rig.begin(stateOf(started));

  await during(async () => {
    await stream.say(frames(said(2, "x"), happened(3, "run.completed", { result: 1, duration_ms: 1 })));
    await frame();
    await vi.advanceTimersByTimeAsync(60_000);
  });

  expect([now().status.state, now().run?.status, now().busy]).toEqual(["ended", "completed", false]);
  expect(now().messages[0]?.cut).toBe(true);
  expect(rig.asked("/stream")).toHaveLength(1);
});

it("cancels, answers and steers the run, and refuses while there is none", async () => {
  const rig = new Rig();
  const { now } = await used(rig);
  void now().cancel("enough");
  void now().steer(1);
  await during(async () => {});

  const posted = rig.gateway.visits.filter(({ method }) => method === "POST");
  expect(posted.map(({ url, body }) => [url.pathname, JSON.parse(body ?? "")])).toEqual([
    ["/v1/runs/r/cancel", { reason: "enough" }],
    ["/v1/runs/r/input", { value: 1 }],
  ]);
  const { now: unknown } = await used(new Rig(), null);
  await expect(unknown().steer(1)).rejects.toThrow("the run is not known yet");
});

function Page({ client }: { readonly client: Client }) {
  const { messages, status } = useSession(client, "s", { begin: stateOf(said(1, "from the server")) });
  return (
    <p>
      {status.state}: {messages[0]?.content}
    </p>
  );
}

it("renders on a server, with the state that it was given, and asks the gateway nothing", () => {
  const rig = new Rig();

  const html = renderToString(<Page client={rig.client} />);

  expect(html.replaceAll("<!-- -->", "")).toBe("<p>connecting: from the server</p>");
  expect(rig.gateway.visits).toEqual([]);
});
