import { fold, toPlain } from "@holdfast/client/fold";
import { expect, test } from "vitest";
import { ReplayController } from "../../../src/session/replay/controller.ts";
import { BLOCK } from "../../../src/session/replay/pages.ts";
import { Gateway, Log } from "../log.ts";

test("a log whose beginning is no longer kept is replayed from where it begins now", async () => {
  const log = Log.talk(4 * BLOCK);
  const minSeq = 2 * BLOCK + 200;
  const gateway = new Gateway(log, minSeq);
  const controller = new ReplayController({
    client: gateway,
    sessionId: "ses_1",
    minSeq,
    head: log.head,
    clock: { now: () => 0, frame: () => () => undefined },
  });
  const reached = async (seq: number) => {
    controller.seek(seq);
    await expect.poll(() => controller.get().seq ?? controller.get().error).toBe(seq);
    const kept = log.events.filter((event) => event.seq >= minSeq && event.seq <= seq);
    expect(toPlain(controller.get().state as never)).toEqual(toPlain(fold(kept)));
  };

  await reached(minSeq);
  await reached(minSeq + 50);
  await reached(3 * BLOCK + 7);
  await reached(minSeq + 20);

  expect(controller.get().error).toBeNull();
});
