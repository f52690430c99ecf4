/** Which events are due while playing. The log's own pace, times the speed; long silences are cut short. Pure. */

import type { HoldfastEvent } from "@holdfast/client";

/** Nobody wants to watch nothing for longer. */
export const SILENCE_MAX_MS = 1_500;

/** Events in one frame: 200 at 60 frames are 12,000 a second, and folding them takes about a millisecond. */
const BURST_MAX = 200;

/** A tab that was hidden gets no frames: what it missed is not caught up with in one leap. */
const FRAME_MAX_MS = 250;

export class Playhead {
  /** The moment of the log that is being shown. */
  #time: number | null = null;
  #last = 0;

  /** Forget the pace: the next frame starts it anew from wherever the replay is. */
  lift(): void {
    this.#time = null;
  }

  /** Return those of the events after the last shown one (at `shown`) that are due at `now`. */
  due(following: readonly HoldfastEvent[], shown: string | null, now: number, speed: number): HoldfastEvent[] {
    if (speed === Number.POSITIVE_INFINITY) return following.slice(0, BURST_MAX);
    const next = following[0];
    if (!next) return [];
    if (this.#time === null) {
      this.#time = timeOf(shown) ?? timeOf(next.ts) ?? 0;
    } else {
      this.#time += Math.min(now - this.#last, FRAME_MAX_MS) * speed;
    }
    this.#last = now;
    const nextAt = timeOf(next.ts) ?? this.#time;
    this.#time = Math.max(this.#time, nextAt - SILENCE_MAX_MS * speed);
    const time = this.#time;
    let count = 0;
    while (count < following.length && count < BURST_MAX) {
      const at = timeOf(following[count]?.ts);
      if (at !== null && at > time) break;
      count++;
    }
    return following.slice(0, count);
  }
}

function timeOf(ts: string | null | undefined): number | null {
  const time = ts ? Date.parse(ts) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}
