import type { Client } from "@holdfast/client";
import { act, renderHook, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import type { ReplayBarProps } from "../../../src/session/contract.ts";
import { useFollow, useReplay } from "../../../src/session/replay/useReplay.ts";
import { Gateway, Log } from "../log.ts";

test("a replay stays where it is when it turns out that older history is gone", async () => {
  const gateway = new Gateway(Log.talk(30));
  let at: number | null = null;
  const props = (minSeq: number): ReplayBarProps => ({
    client: gateway as unknown as Client,
    sessionId: "ses_1",
    head: gateway.log.head,
    minSeq,
    at,
    onAt: (next) => {
      at = next;
    },
    onState: () => undefined,
  });
  const used = renderHook(
    (given: ReplayBarProps) => {
      const { controller, replay } = useReplay(given);
      return { replay, move: useFollow(given, controller, replay) };
    },
    { initialProps: props(1) },
  );
  await act(async () => used.result.current.move((it) => it.seek(20)));
  used.rerender(props(1));
  await waitFor(() => expect(used.result.current.replay.seq).toBe(20));

  await act(async () => used.rerender(props(5)));

  await waitFor(() => expect(used.result.current.replay.seq).toBe(20));
});
