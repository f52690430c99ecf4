/** What is where in a log: kinds of events, and when they were. Read whole if it is short, in samples if it is long. */

import type { Client, HoldfastEvent } from "@holdfast/client";
import { BLOCK, type Pages } from "./pages.ts";

/** So many blocks are read whole: 8,000 events, and the replay has them at hand then. */
const WHOLE_BLOCKS_MAX = 16;

/** A long log is looked at in so many places. */
export const PROBES = 64;
const PROBE_EVENTS = 40;

export type Family = "text" | "work" | "tool" | "person" | "run" | "other";

export const FAMILIES: readonly Family[] = ["run", "person", "work", "tool", "text", "other"];

const FAMILY_OF: Readonly<Record<string, Family>> = {
  session: "run",
  run: "run",
  stage: "run",
  command: "run",
  input: "person",
  step: "work",
  agent: "work",
  plan: "work",
  task: "work",
  progress: "work",
  checkpoint: "work",
  tool: "tool",
  llm: "text",
  message: "text",
  reasoning: "text",
};

/** Return the group that a type's events are drawn in. */
export function familyOf(type: string): Family {
  return FAMILY_OF[type.split(".", 1)[0] ?? ""] ?? "other";
}

export interface Mark {
  readonly seq: number;
  readonly time: number;
  readonly family: Family;
  /** How many events it stands for. */
  readonly weight: number;
}

/** Marks in order of seq. */
export interface Survey {
  readonly marks: readonly Mark[];
  /** Every event is a mark of its own. */
  readonly whole: boolean;
  readonly done: boolean;
}

export const NOTHING_KNOWN: Survey = { marks: [], whole: true, done: false };

interface SurveyOptions {
  readonly client: Pick<Client, "events">;
  readonly sessionId: string;
  readonly minSeq: number;
  readonly head: number;
  readonly pages: Pages;
  readonly signal: AbortSignal;
  onSurvey(survey: Survey): void;
}

/** Look at a log; calls back as more of it is known. Failures leave blanks: nobody waits for this picture. */
export async function survey(options: SurveyOptions): Promise<void> {
  const { minSeq, head, signal, onSurvey } = options;
  const blocks = Math.ceil(head / BLOCK) - Math.floor((minSeq - 1) / BLOCK);
  const whole = blocks <= WHOLE_BLOCKS_MAX;
  const marks: Mark[] = [];
  const add = (events: readonly HoldfastEvent[], weight: number, done: boolean) => {
    for (const event of events) marks.push(markOf(event, weight));
    if (!signal.aborted) onSurvey({ marks: [...marks], whole, done });
  };
  try {
    if (whole) {
      for (let from = minSeq; from <= head && !signal.aborted; from = Math.ceil(from / BLOCK) * BLOCK + 1) {
        const last = Math.min(Math.ceil(from / BLOCK) * BLOCK, head);
        const events = await options.pages.read(last);
        add(
          events.filter(({ seq }) => seq >= from && seq <= last),
          1,
          last === head,
        );
      }
      return;
    }
    const stride = (head - minSeq + 1) / PROBES;
    for (let probe = 0; probe < PROBES && !signal.aborted; probe++) {
      const after = Math.floor(minSeq - 1 + probe * stride);
      const page = await options.client.events(options.sessionId, { after, limit: PROBE_EVENTS });
      add(page.items, page.items.length > 0 ? stride / page.items.length : 0, probe === PROBES - 1);
    }
  } catch {
    // What is known so far stays.
  }
}

/** Return the mark of an event. */
export function markOf(event: HoldfastEvent, weight = 1): Mark {
  return { seq: event.seq, time: Date.parse(event.ts) || 0, family: familyOf(event.type), weight };
}
