/** What an editor shows of the hooks and the fold. The compiler is the test: `npm run types` reads this file. */
import { expectTypeOf, it } from "vitest";
import { apply, emptyState, type Folding, fromPlain, type Message, type State, toPlain } from "../../src/fold/index.js";
import type { Accepted, Client, HoldfastError, HoldfastEvent, RunView } from "../../src/index.js";
import { type FollowOptions, type useRun, useSession } from "../../src/react/index.js";
import { type Bar, type ConversationItem, conversation } from "../../src/views/index.js";

type Session = ReturnType<typeof useSession>;

it("gives a state, lists and actions with their types", () => {
  expectTypeOf<Session["state"]>().toEqualTypeOf<State>();
  expectTypeOf<Session["messages"]>().toEqualTypeOf<readonly Message[]>();
  expectTypeOf<NonNullable<Session["latest"]>>().toHaveProperty("status");
  expectTypeOf<Session["error"]>().toEqualTypeOf<HoldfastError | null>();
  expectTypeOf<Session["send"]>().returns.toEqualTypeOf<Promise<Accepted>>();
  expectTypeOf<Session["cancel"]>().returns.toEqualTypeOf<Promise<RunView>>();
  expectTypeOf<ReturnType<typeof useRun>["steer"]>().parameters.toEqualTypeOf<[value: unknown]>();
  expectTypeOf(useSession).parameter(1).toEqualTypeOf<string | null>();
});

it("hands callbacks an event that its type tells apart", () => {
  const options: FollowOptions = {
    onEvent: (event) => {
      expectTypeOf(event).toEqualTypeOf<HoldfastEvent>();
      if (event.type === "message.delta") expectTypeOf(event.data.text).toEqualTypeOf<string>();
    },
  };
  expectTypeOf(options).toExtend<Parameters<typeof useRun>[2]>();
});

it("takes the gateway's answer and its events, and tells a state to read from one to fold on", () => {
  const check = (client: Client, event: HoldfastEvent, plain: State) => {
    expectTypeOf(client.state("s").then(fromPlain)).toEqualTypeOf<Promise<Folding>>();
    expectTypeOf(apply(emptyState(), event)).toEqualTypeOf<Folding>();
    expectTypeOf(toPlain(emptyState())).toEqualTypeOf<State>();
    // @ts-expect-error what is only shown can't be folded on: `fromPlain` first
    apply(plain, event);
    // @ts-expect-error entries are never changed in place
    plain.messages[0].content = "x";
  };
  expectTypeOf(check).toBeFunction();
});

it("tells an item's entry, and a bar's, by its kind", () => {
  const check = (item: ConversationItem, bar: Bar) => {
    if (item.kind === "tool") expectTypeOf(item.entry.args).not.toBeAny();
    if (item.kind === "message") expectTypeOf(item.entry).toEqualTypeOf<Message>();
    if (bar.kind === "step") expectTypeOf(bar.entry.key).toEqualTypeOf<string | null>();
    expectTypeOf(conversation).parameter(0).toEqualTypeOf<State>();
  };
  expectTypeOf(check).toBeFunction();
});
