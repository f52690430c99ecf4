/** How the conversation says times, reasons and codes; numbers and durations are `ui/format`'s. */

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Return the time of day of a moment, in the reader's zone. */
export function clock(ts: string): string {
  const at = Date.parse(ts);
  return Number.isNaN(at) ? "–" : CLOCK.format(at);
}

const MEANINGS: ReadonlyMap<string, string> = new Map([
  ["poison", "Holdfast gave it up: its worker stopped every time it was tried."],
  ["timeout", "It took longer than its workflow allows."],
  ["nondeterminism", "The workflow's code changed under it, so it can't go on from its record."],
]);

/** Return what an error's code means to a person beyond its message, if that is known. */
export function meaning(code: string): string | null {
  return MEANINGS.get(code) ?? null;
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ["takeover", "resumed by another worker"],
  ["drain", "handed over to another worker"],
  ["retry", "tried again"],
  ["input", "resumed with an answer"],
  ["timer", "resumed: its time had come"],
]);

/** Return why another attempt goes on. */
export function resumed(reason: string): string {
  return REASONS.get(reason) ?? `resumed: ${reason}`;
}

/** Return the last part of a long id: enough to tell two apart. */
export function shortId(id: string): string {
  return id.length > 16 ? `…${id.slice(-8)}` : id;
}

/** Return up to two letters for a name. */
export function initials(name: string): string {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const first = words[0] ?? "?";
  // By code points: half of a character is nothing.
  const letters = words.length > 1 ? [[...first][0], [...(words[1] as string)][0]] : [...first].slice(0, 2);
  return letters.join("").toUpperCase();
}
