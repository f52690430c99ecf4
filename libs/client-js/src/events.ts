import type { Envelope, KnownEvent } from "./events.generated.js";

/**
 * Any type that this version doesn't know. For the compiler only: of all that stands for "some other string", only an
 * enum's member leaves `event.type === "message.delta"` able to tell the events apart.
 */
declare enum UnknownType {
  Any = "(a type that is newer than this package)",
}

/** An event of a type that this version doesn't know: a newer server sent it. Pass it on, or leave it alone. */
export interface UnknownEvent extends Envelope {
  /** Any string. To look for one, compare it as a string: `(event.type as string) === "rocket.launched"`. */
  type: UnknownType;
  data: Record<string, unknown>;
}

/** One event of a session as every reader gets it. Look at `type`, and `data` has its type. */
export type HoldfastEvent = KnownEvent | UnknownEvent;

/** The types that this version knows. */
export type EventType = KnownEvent["type"];

/** The event of a type: `EventOf<"message.delta">`. */
export type EventOf<Type extends EventType> = Extract<KnownEvent, { type: Type }>;

export type * from "./events.generated.js";
