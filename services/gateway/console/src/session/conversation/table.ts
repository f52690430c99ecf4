/** Which values read better than as a tree: lists of flat objects as a table, a flat object as names and values. */

const COLUMNS_MAX = 12;

export interface TableData {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Return a value as a table, or null when it isn't one. */
export function tableOf(value: unknown): TableData | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const rows: Record<string, unknown>[] = [];
  const columns = new Set<string>();
  let filled = 0;
  for (const row of value as unknown[]) {
    if (typeof row !== "object" || row === null || Array.isArray(row)) return null;
    // Copied into what has no prototype: a key may be called `__proto__` or `constructor`.
    const flat = Object.assign(Object.create(null) as Record<string, unknown>, row);
    for (const [key, cell] of Object.entries(flat)) {
      if (typeof cell === "object" && cell !== null) return null;
      columns.add(key);
      filled += 1;
      if (columns.size > COLUMNS_MAX) return null;
    }
    rows.push(flat);
  }
  // Half empty, it would hide what the rows are: different things.
  return columns.size > 0 && filled * 2 >= rows.length * columns.size ? { columns: [...columns], rows } : null;
}

/** Return the parts of a flat object, or null when it isn't one: names beside values read better than a tree. */
export function factsOf(value: unknown): readonly (readonly [string, unknown])[] | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const facts = Object.entries(value);
  if (facts.length === 0 || facts.length > COLUMNS_MAX) return null;
  return facts.some(([, part]) => typeof part === "object" && part !== null) ? null : facts;
}
