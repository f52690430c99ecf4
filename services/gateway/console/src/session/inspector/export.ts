/** A session as JSON Lines: every event as it was recorded, one a line, read page by page. */

import { PAGE_LIMIT_MAX, type ReadPage } from "./wire.ts";

/**
 * Return the lines of the events from `after` to `until`, in parts that the browser may keep outside of the page's
 * memory. `onProgress` is told the seq that was reached. Rejects when `signal` is aborted.
 */
export async function exportLines(
  read: ReadPage,
  { after, until }: { readonly after: number; readonly until: number },
  signal: AbortSignal,
  onProgress: (seq: number) => void,
): Promise<Blob[]> {
  const parts: Blob[] = [];
  let at = after;
  while (at < until) {
    const limit = Math.min(PAGE_LIMIT_MAX, until - at);
    const page = await read({ after: at, limit, signal });
    signal.throwIfAborted();
    if (page.bodies.length > 0) parts.push(new Blob([`${page.bodies.join("\n")}\n`]));
    // A page that gets nowhere is the end of a log that is shorter than somebody said.
    if (page.nextAfter <= at) break;
    at = page.nextAfter;
    onProgress(at);
  }
  return parts;
}
