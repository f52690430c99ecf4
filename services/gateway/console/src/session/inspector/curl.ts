/** What a person pastes into a terminal to get the very same bytes. */

import { pagePath } from "./wire.ts";

/** Return a command that fetches the events from `first` to `last` of a session. */
export function curlOf(origin: string, sessionId: string, first: number, last = first): string {
  const path = pagePath(sessionId, { after: first - 1, limit: last - first + 1 });
  return `curl -sS ${quoted(origin + path)}`;
}

/** Quote for any shell that knows single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
