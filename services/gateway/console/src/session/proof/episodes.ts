/** What a connection went through, told episode by episode: lost where, back after how long, and nothing missing. Pure. */

import type { ConnectionState, Counters, Status } from "@holdfast/client";
import { formatCount, formatDuration, plural } from "../../ui/format.ts";

export interface Line {
  /** Milliseconds since the episode began. */
  readonly after: number;
  readonly text: string;
}

export interface Episode {
  readonly id: number;
  /** When it began, by this machine's clock. */
  readonly began: number;
  readonly kind: "opened" | "cut" | "lost";
  /** The cursor when it began: the seq up to which all was there. */
  readonly cursor: number;
  readonly lines: readonly Line[];
  /** How it ended; null while it lasts. */
  readonly outcome: "caught up" | "ended" | "failed" | null;
  readonly took: number | null;
}

/** What is seen of a connection at a moment. */
export interface Sight {
  readonly status: Status;
  readonly counters: Readonly<Counters>;
  readonly cursor: number;
}

/** Two screens of them. */
export const EPISODES_MAX = 8;

/** A gateway that stays away is tried again and again; of one episode the latest lines are enough. */
const LINES_MAX = 12;

const CONNECTED: ReadonlySet<ConnectionState> = new Set(["catching-up", "live", "stalled"]);

/** Keeps the last episodes of one connection, newest first. */
export class EpisodeLog {
  #episodes: readonly Episode[] = [];
  #before: Sight | null = null;
  #start: Counters = { events: 0, resumes: 0, gaps: 0, duplicates: 0, resets: 0 };
  #next = 1;

  /** The episodes, newest first; a new array whenever one changed. */
  get episodes(): readonly Episode[] {
    return this.#episodes;
  }

  /** The connection is cut on purpose, now. */
  cut(sight: Sight, now: number): void {
    const text = `cut at seq ${formatCount(sight.cursor)}`;
    if (this.#open === null) this.#begin("cut", sight, now, text);
    else this.#say(now, text);
  }

  /** Look at the connection; call it for every change of its status. */
  observe(sight: Sight, now: number): void {
    const before = this.#before;
    this.#before = { ...sight, counters: { ...sight.counters } };
    const { state } = sight.status;
    if (before?.status.state === state && before.status.retryInMs === sight.status.retryInMs) return;
    if (this.#open === null) {
      if (before === null) {
        this.#begin(
          "opened",
          sight,
          now,
          sight.cursor > 0 ? `following from seq ${formatCount(sight.cursor)}` : "following",
        );
      } else if (CONNECTED.has(before.status.state) && !CONNECTED.has(state) && state !== "ended") {
        this.#begin("lost", sight, now, `lost at seq ${formatCount(sight.cursor)}`);
      }
    }
    if (this.#open !== null) this.#tell(sight, now);
  }

  get #open(): Episode | null {
    const newest = this.#episodes[0];
    return newest && newest.outcome === null ? newest : null;
  }

  #begin(kind: Episode["kind"], { counters, cursor }: Sight, now: number, text: string): void {
    this.#start = { ...counters };
    const episode = {
      id: this.#next++,
      began: now,
      kind,
      cursor,
      lines: [{ after: 0, text }],
      outcome: null,
      took: null,
    };
    this.#episodes = [episode, ...this.#episodes].slice(0, EPISODES_MAX);
  }

  #tell({ status, counters, cursor }: Sight, now: number): void {
    const open = this.#open;
    if (open === null) return;
    const why = status.reason ?? status.error?.message;
    switch (status.state) {
      case "waiting":
        this.#say(now, `${why ? `${why}; ` : ""}reconnecting in ${formatDuration(status.retryInMs ?? 0)}`);
        break;
      case "connecting":
        if (open.kind !== "opened") this.#say(now, `asking for all after ${formatCount(cursor)}`);
        break;
      case "catching-up":
        this.#say(now, open.kind === "opened" ? "connected" : `resumed after seq ${formatCount(cursor)}`);
        break;
      case "live":
        this.#say(now, this.#balance(open, counters, cursor));
        this.#close("caught up", now);
        break;
      case "ended":
      case "failed":
        this.#say(now, why ?? status.state);
        this.#close(status.state, now);
        break;
      case "stalled":
        this.#say(now, "connected; the run has no worker at the moment");
        this.#close("caught up", now);
    }
  }

  #balance(open: Episode, counters: Counters, cursor: number): string {
    const caught = counters.events - this.#start.events;
    const gaps = counters.gaps - this.#start.gaps;
    const twice = counters.duplicates - this.#start.duplicates;
    const at = `caught up at ${formatCount(cursor)}`;
    if (open.kind === "opened") return at;
    return `${at}: ${plural(caught, "event")} came meanwhile, ${formatCount(gaps)} missed, ${formatCount(twice)} twice`;
  }

  #say(now: number, text: string): void {
    const [open, ...rest] = this.#episodes;
    if (!open) return;
    const lines = [...open.lines, { after: now - open.began, text }];
    // The first line says where it began: that stays.
    const kept = lines.length > LINES_MAX ? [lines[0] as Line, ...lines.slice(1 - LINES_MAX)] : lines;
    this.#episodes = [{ ...open, lines: kept }, ...rest];
  }

  #close(outcome: Episode["outcome"], now: number): void {
    const [open, ...rest] = this.#episodes;
    if (open) this.#episodes = [{ ...open, outcome, took: now - open.began }, ...rest];
  }
}
