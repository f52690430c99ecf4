/** Whether two states are one: what a page folded from its stream, and what the gateway says. Pure. */

/** Return where two JSON values differ first, as a path such as `messages.3.content`; null when nowhere. */
export function differenceOf(mine: unknown, theirs: unknown): string | null {
  if (Object.is(mine, theirs)) return null;
  if (typeof mine !== "object" || typeof theirs !== "object" || mine === null || theirs === null) return "";
  if (Array.isArray(mine) !== Array.isArray(theirs)) return "";
  const [left, right] = [mine as Record<string, unknown>, theirs as Record<string, unknown>];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const within = key in left && key in right ? differenceOf(left[key], right[key]) : "";
    if (within !== null) return within === "" ? key : `${key}.${within}`;
  }
  return null;
}
