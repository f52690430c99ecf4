/** What of a session is said to screen readers while it happens. */

import type { HoldfastEvent } from "@holdfast/client";
import { useEffect } from "react";
import { useAnnounce } from "../app/announcer.tsx";
import { cutAt } from "../ui/Text.tsx";
import type { LiveSession } from "./useLive.ts";

/** Some twenty seconds of speech. A message may have 256 KiB; all of it is in the conversation, to be read at will. */
export const SAID_MAX = 300;

/** Tell screen readers of what matters while it happens: runs, questions, messages once they are whole. */
export function useSaid({ onEvents }: Pick<LiveSession, "onEvents">): void {
  const announce = useAnnounce();
  useEffect(
    () =>
      onEvents((events) => {
        for (const event of events) {
          const said = saidOf(event);
          if (said !== null) announce(said);
        }
      }),
    [onEvents, announce],
  );
}

/** Return the sentence for an event, null when it is none to be told of. */
export function saidOf(event: HoldfastEvent): string | null {
  if (event.type === "message.completed") return short(`${event.agent ?? event.data.role}: ${event.data.content}`);
  if (event.type === "input.requested") return short(`A question: ${event.data.prompt}`);
  if (event.type === "run.completed") return "The run completed";
  if (event.type === "run.failed") return short(`The run failed: ${event.data.error.message}`);
  if (event.type === "run.cancelled") return "The run was cancelled";
  return null;
}

function short(text: string): string {
  return text.length > SAID_MAX ? `${text.slice(0, cutAt(text, SAID_MAX))}… and more` : text;
}
