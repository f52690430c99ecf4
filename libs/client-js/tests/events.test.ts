import { describe, expect, expectTypeOf, test } from "vitest";
import type { EventOf, HoldfastEvent, MessageDeltaData, UnknownEvent } from "../src/events.js";

const wire = (text: string): HoldfastEvent => JSON.parse(text);
const envelope = '"v":1,"seq":7,"session_id":"s","ts":"2026-01-01T00:00:00.000Z"';

describe("an event", () => {
  test("has the data of its type once its type is looked at", () => {
    const event = wire(`{${envelope},"type":"message.delta","data":{"message_id":"m","text":"Hi"}}`);
    if (event.type !== "message.delta") throw new Error("wrong type");
    expectTypeOf(event.data).toEqualTypeOf<MessageDeltaData>();
    expectTypeOf(event.data.text).toBeString();
    // @ts-expect-error a delta has no result
    expect(event.data.result).toBeUndefined();
    expect(event.data.text).toBe("Hi");
  });

  test("of an unknown type is passed on with its envelope typed", () => {
    const event = wire(`{${envelope},"type":"rocket.launched","data":{"to":"moon"}}`);
    switch (event.type) {
      case "run.completed":
        expectTypeOf(event.data.result).toBeUnknown();
        throw new Error("wrong type");
      default:
        expectTypeOf(event.seq).toBeNumber();
        expectTypeOf(event.type).toExtend<string>();
        expect(event.type).toBe("rocket.launched");
    }
    expectTypeOf<Extract<HoldfastEvent, UnknownEvent>>().toEqualTypeOf<UnknownEvent>();
  });

  test("of an application's own type has open data", () => {
    expectTypeOf<EventOf<`custom.${string}`>["data"]>().toEqualTypeOf<Record<string, unknown>>();
    expectTypeOf<"custom.clicked">().toExtend<HoldfastEvent["type"]>();
  });

  test("carries what every event carries", () => {
    expectTypeOf<HoldfastEvent["seq"]>().toBeNumber();
    expectTypeOf<HoldfastEvent["run_id"]>().toEqualTypeOf<string | undefined>();
    expectTypeOf<HoldfastEvent["v"]>().toEqualTypeOf<1>();
  });
});
