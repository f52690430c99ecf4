/**
 * A session's past, event by event: where the replay is, what the state was there, and how it moves.
 *
 * Any seq is at most a block of events away from a state at the block's edge, which is kept or fetched; from there the
 * fold brings it on. One way there is under way at a time: of many seqs asked for meanwhile the last one counts.
 */

import type { Client, HoldfastEvent, State } from "@holdfast/client";
import { apply, type Folding, toPlain } from "@holdfast/client/fold";
import { boundaryAfter, boundaryBefore } from "./boundary.ts";
import { BLOCK, blockOf, Pages } from "./pages.ts";
import { Playhead } from "./playhead.ts";
import { Snapshots } from "./snapshots.ts";

export type ReplayClient = Pick<Client, "events" | "state">;

/** Time and frames, so that a test can hold both. */
export interface Clock {
  now(): number;
  /** Calls back once, at the next frame; returns what takes that back. */
  frame(callback: () => void): () => void;
}

export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8, 16, Number.POSITIVE_INFINITY];

/** What is shown of a replay. A new object whenever anything of it changed. */
export interface Replay {
  /** The seq that was reached; null before the first. */
  readonly seq: number | null;
  /** The seq that was asked for. */
  readonly target: number | null;
  readonly head: number;
  /** The state at `seq`, changed in place by whatever comes next. */
  readonly state: Folding | null;
  /** The event at `seq`; null where history was compacted away. */
  readonly event: HoldfastEvent | null;
  /** When it was: the event's, or the last one's before it. */
  readonly ts: string | null;
  /** The states just before and at `seq`, which nothing changes. */
  readonly before: State | null;
  readonly after: State | null;
  readonly playing: boolean;
  readonly speed: number;
  readonly loading: boolean;
  readonly error: string | null;
}

export interface ReplayOptions {
  readonly client: ReplayClient;
  readonly sessionId: string;
  readonly minSeq: number;
  readonly head: number;
  readonly clock: Clock;
}

/** Moves through a session's past. Nothing is fetched before something is asked for. */
export class ReplayController {
  readonly #options: ReplayOptions;
  readonly #pages: Pages;
  readonly #snapshots: Snapshots;
  readonly #playhead: Playhead;
  readonly #listeners = new Set<() => void>();
  #view: Replay;
  #state: Folding | null = null;
  #moving = false;
  #closed = false;
  #stopFrame: (() => void) | null = null;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#pages = new Pages(options.client, options.sessionId, options.minSeq);
    this.#snapshots = new Snapshots(options.client, options.sessionId, options.minSeq);
    this.#playhead = new Playhead();
    this.#view = {
      ...{ seq: null, target: null, head: options.head, state: null, event: null, ts: null, before: null, after: null },
      ...{ playing: false, speed: 1, loading: false, error: null },
    };
  }

  /** What is shown now. */
  readonly get = (): Replay => this.#view;

  /** Calls back after every change; returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get pages(): Pages {
    return this.#pages;
  }

  /** The session has grown. */
  setHead(head: number): void {
    if (head > this.#view.head) this.#show({ head });
  }

  /** Go to a seq. Playing goes on from there. */
  seek(seq: number): void {
    const target = this.#clamp(seq);
    if (target === null || this.#closed) return;
    this.#show({ target, error: null });
    this.#playhead.lift();
    if (!this.#moving) void this.#move();
  }

  /** Go on or back by events. */
  step(by: number): void {
    this.pause();
    this.seek((this.#view.target ?? this.#view.head) + by);
  }

  /** Go to where the next step begins or ends, or to the last such place before. */
  async stepBoundary(direction: 1 | -1): Promise<void> {
    this.pause();
    const { client, sessionId, minSeq } = this.#options;
    const from = this.#view.target ?? this.#view.head;
    this.#show({ loading: true, error: null });
    try {
      const seq =
        direction === 1
          ? await boundaryAfter(client, sessionId, from, this.#view.head)
          : await boundaryBefore(client, sessionId, from, minSeq);
      // Somebody may have gone elsewhere meanwhile: that counts.
      if ((this.#view.target ?? this.#view.head) === from) this.seek(seq);
    } catch (error) {
      this.#show({ error: wordsOf(error) });
    } finally {
      if (!this.#moving) this.#show({ loading: false });
    }
  }

  toStart(): void {
    this.seek(this.#options.minSeq);
  }

  toEnd(): void {
    this.pause();
    this.seek(this.#view.head);
  }

  /** Play from here; at the end, from the beginning. */
  play(): void {
    if (this.#view.playing || this.#closed) return;
    const at = this.#view.target;
    if (at === null || at >= this.#view.head) this.seek(this.#options.minSeq);
    this.#playhead.lift();
    this.#show({ playing: true, error: null });
    this.#nextFrame();
  }

  pause(): void {
    this.#stopFrame?.();
    this.#stopFrame = null;
    if (this.#view.playing) this.#show({ playing: false });
  }

  /** Back to the present: the next move begins at the head. */
  leave(): void {
    this.pause();
    this.#state = null;
    const nowhere = { seq: null, target: null, state: null, event: null, ts: null, before: null, after: null };
    if (this.#view.target !== null || this.#view.seq !== null) this.#show({ ...nowhere, loading: false, error: null });
  }

  setSpeed(speed: number): void {
    this.#playhead.lift();
    this.#show({ speed });
  }

  /** One speed up or down. */
  faster(by: 1 | -1): void {
    const at = SPEEDS.indexOf(this.#view.speed) + by;
    const speed = SPEEDS[at];
    if (speed !== undefined) this.setSpeed(speed);
  }

  /** Nothing is called back any more. */
  close(): void {
    this.pause();
    this.#closed = true;
    this.#listeners.clear();
  }

  async #move(): Promise<void> {
    this.#moving = true;
    try {
      while (!this.#closed && this.#view.target !== null && this.#view.target !== this.#view.seq) {
        const { target } = this.#view;
        if (!this.#ready(target)) this.#show({ loading: true });
        await this.#bring(target);
      }
      this.#show({ loading: false });
    } catch (error) {
      this.pause();
      this.#show({ loading: false, error: wordsOf(error), target: this.#view.seq });
    } finally {
      this.#moving = false;
    }
  }

  #ready(target: number): boolean {
    return this.#pages.have(target) !== null && (this.#near(target) || this.#snapshots.has(target));
  }

  // Fold on from here rather than from the block's edge when that is less work.
  #near(target: number): boolean {
    const seq = this.#state?.seq;
    return seq !== undefined && seq < target && target - seq <= BLOCK;
  }

  async #bring(target: number): Promise<void> {
    const near = this.#near(target);
    const [state] = await Promise.all([
      near && this.#state ? this.#state : this.#snapshots.before(target),
      this.#pages.read(target),
    ]);
    const events: HoldfastEvent[] = [];
    for (let at = Math.max(state.seq + 1, this.#options.minSeq); at <= target; ) {
      const last = Math.min(target, (blockOf(at) + 1) * BLOCK);
      for (const event of await this.#pages.read(last)) if (event.seq > state.seq) events.push(event);
      at = last + 1;
    }
    if (this.#closed || this.#view.target !== target) return;
    this.#fold(
      state,
      events.filter((event) => event.seq <= target),
      target,
    );
  }

  #fold(state: Folding, events: readonly HoldfastEvent[], reached: number): void {
    let before: State | null = null;
    events.forEach((event, at) => {
      if (at === events.length - 1) before = toPlain(state);
      apply(state, event);
      this.#snapshots.offer(state);
    });
    this.#state = state;
    const last = events.at(-1);
    const event = last?.seq === reached ? last : null;
    const ts = last?.ts ?? this.#view.ts;
    this.#show({ seq: reached, target: reached, state, event, ts, before, after: toPlain(state) });
  }

  #nextFrame(): void {
    this.#stopFrame = this.#options.clock.frame(() => {
      this.#stopFrame = null;
      if (!this.#view.playing) return;
      this.#advance();
      if (this.#view.playing) this.#nextFrame();
    });
  }

  // One frame of playing: fold what is due. While something has to be read the playhead waits.
  #advance(): void {
    const { seq, target, head, speed } = this.#view;
    const now = this.#options.clock.now();
    if (this.#moving || seq === null || target !== seq || !this.#state) {
      this.#playhead.lift();
      return;
    }
    if (seq >= head) {
      this.pause();
      return;
    }
    const events = this.#pages.have(seq + 1);
    if (!events) {
      this.#playhead.lift();
      this.seek(seq + 1);
      return;
    }
    const following = events.filter((event) => event.seq > seq && event.seq <= head);
    const due = this.#playhead.due(following, this.#view.ts, now, speed);
    const last = due.at(-1);
    if (last) {
      this.#fold(this.#state, due, last.seq);
      const ahead = last.seq + BLOCK / 4;
      // Read the next block before the playhead is there; a failure shows when it is.
      if (ahead <= head && !this.#pages.have(ahead)) this.#pages.read(ahead).catch(() => undefined);
    } else if (following.length === 0) {
      // The rest of the block was compacted away.
      this.seek(Math.min(head, (Math.floor(seq / BLOCK) + 1) * BLOCK));
    }
  }

  #clamp(seq: number): number | null {
    const { minSeq } = this.#options;
    if (this.#view.head < minSeq || !Number.isFinite(seq)) return null;
    return Math.min(Math.max(Math.round(seq), minSeq), this.#view.head);
  }

  #show(change: Partial<Replay>): void {
    if (this.#closed) return;
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : "The past could not be loaded.";
}
