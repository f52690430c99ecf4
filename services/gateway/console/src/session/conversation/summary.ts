/** Any value on one line, as far as it fits. */

/** As much as the widest line shows. */
const LENGTH_MAX = 160;

/** Deeper and longer values than this can't show on one line: they aren't even turned into text. */
const PARTS_MAX = 24;

/** Return a value as one short line: texts as they are, objects without their braces, all of it cut in time. */
export function summary(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return cut(value);
  if (typeof value === "object" && !Array.isArray(value)) {
    const parts = Object.entries(value)
      .slice(0, PARTS_MAX)
      .map(([key, part]) => `${key}: ${brief(part)}`);
    return cut(parts.join(", "));
  }
  return cut(brief(value));
}

function brief(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (Array.isArray(value)) {
    const first: unknown = value[0];
    // What a list of records holds says more than a row of braces.
    if (typeof first === "object" && first !== null && !Array.isArray(first)) {
      return `${value.length} × {${Object.keys(first).slice(0, PARTS_MAX).join(", ")}}`;
    }
    const parts = value
      .slice(0, PARTS_MAX)
      .map((part) => (typeof part === "object" && part !== null ? "{…}" : brief(part)));
    return `[${parts.join(", ")}${value.length > PARTS_MAX ? ", …" : ""}]`;
  }
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0 ? "{}" : "{…}";
  return String(value);
}

function cut(text: string): string {
  // Whitespace is shown as one space: this is a line.
  const line = text
    .slice(0, 2 * LENGTH_MAX)
    .replace(/[ \t\r\n]+/g, " ")
    .trim();
  return line.length > LENGTH_MAX ? `${line.slice(0, LENGTH_MAX)}…` : line;
}
