/**
 * What the entries of a state weigh, counted as the server's fold counts it: so both forget the same entries, and a
 * state can be kept and sent whole however long its session is.
 */

/** The names of an entry's fields, its ids and its times: what its JSON has beside its texts. */
export const ENTRY_WEIGHT = 256;

/** A number, a boolean or a null. */
export const SCALAR_WEIGHT = 8;

/** The brackets of an array or an object. */
export const BRACKETS_WEIGHT = 2;

/** What a JSON value weighs: its texts and keys in UTF-16 units. */
export function weight(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return SCALAR_WEIGHT;
  let total = BRACKETS_WEIGHT;
  if (Array.isArray(value)) for (const item of value) total += weight(item);
  else for (const [key, item] of Object.entries(value)) total += key.length + weight(item);
  return total;
}

/** How much more `entry` weighs than the one that it replaces; only what is another value is looked at. */
export function gained(entry: object, replaced: object | undefined): number {
  const before = replaced as Record<string, unknown> | undefined;
  let total = before ? 0 : ENTRY_WEIGHT;
  for (const [name, value] of Object.entries(entry)) {
    if (before && before[name] === value) continue;
    total += weight(value) - (before ? weight(before[name]) : 0);
  }
  return total;
}
