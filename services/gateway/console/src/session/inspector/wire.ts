/**
 * Pages of the log with every event as it is on the wire, to the byte. A parsed and rewritten event may differ from
 * what was recorded (`1.0` becomes `1`); what the inspector shows, copies and exports must not.
 */

import { HoldfastError, type HoldfastEvent, type Problem } from "@holdfast/client";

/** Events of one answer. */
export interface WirePage {
  /** Every event's own JSON, as it was recorded. */
  readonly bodies: readonly string[];
  /** All wanted events up to here are in this page or an earlier one. */
  readonly nextAfter: number;
  readonly head: number;
  readonly minSeq: number;
}

export interface PageQuery {
  readonly after: number;
  readonly limit: number;
  /** As the gateway takes it: `run.completed,message.*`. */
  readonly types?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads one page of a session's log. Rejects with a HoldfastError, or an AbortError. What is no longer kept is no
 * error: the page is empty and reaches to where the log begins by now, so that whoever reads goes on from there.
 */
export type ReadPage = (query: PageQuery) => Promise<WirePage>;

/** The most that the gateway puts into a page. */
export const PAGE_LIMIT_MAX = 500;

/** Return the path of a page; the same that `curl` is told. */
export function pagePath(sessionId: string, { after, limit, types }: Omit<PageQuery, "signal">): string {
  const query = new URLSearchParams({ after: String(after), limit: String(limit) });
  // Commas and stars mean themselves in a query, and people read this.
  const wanted = types ? `&types=${encodeURIComponent(types).replaceAll("%2C", ",")}` : "";
  return `/v1/sessions/${encodeURIComponent(sessionId)}/events?${query}${wanted}`;
}

/** Return a reader of a session's log. */
export function pageReader(
  sessionId: string,
  baseUrl = "",
  fetch_: typeof fetch = (input, init) => fetch(input, init),
): ReadPage {
  return async (query) => {
    let response: Response;
    try {
      response = await fetch_(baseUrl + pagePath(sessionId, query), {
        headers: { accept: "application/json" },
        signal: query.signal ?? null,
      });
    } catch (error) {
      if (query.signal?.aborted) throw error;
      throw new HoldfastError(problem(0, "unreachable", "The gateway can't be reached."), { cause: error });
    }
    const text = await response.text();
    if (response.ok) return parsePage(text);
    const refused = problemOf(response.status, text);
    const gone = pageOfGone(refused, query.after);
    if (gone === null) throw new HoldfastError(refused);
    return gone;
  };
}

/** Retention went on while somebody looked: of all up to the new beginning nothing is left to come. */
function pageOfGone({ code, head, min_seq: minSeq }: Problem, after: number): WirePage | null {
  if (code !== "cursor-expired" || typeof minSeq !== "number" || typeof head !== "number") return null;
  // A page that gets nowhere would be asked for again for ever.
  return minSeq - 1 > after ? { bodies: [], nextAfter: minSeq - 1, head, minSeq } : null;
}

function problemOf(status: number, text: string): Problem {
  try {
    const parsed = JSON.parse(text) as Problem;
    if (typeof parsed.code === "string") return parsed;
  } catch {
    // A proxy's own page: its status says enough.
  }
  return problem(status, "not-understood", `The answer was ${status}, without a reason.`);
}

function problem(status: number, code: string, detail: string): Problem {
  return { type: `urn:holdfast:problem:${code}`, title: detail, status, code, detail };
}

/** Take a page apart without touching its events. Throws SyntaxError when it isn't one. */
export function parsePage(text: string): WirePage {
  const bodies: string[] = [];
  const start = text.indexOf("[");
  let end = -1;
  // Brackets and quotes outside of strings are all that structure a JSON text.
  let depth = 0;
  let from = start + 1;
  const token = /["[\]{},]/g;
  token.lastIndex = start;
  for (let found = token.exec(text); found !== null && start !== -1; found = token.exec(text)) {
    const at = found.index;
    const char = found[0];
    if (char === '"') {
      const close = closing(text, at);
      if (close === -1) break;
      token.lastIndex = close + 1;
    } else if (char === "[" || char === "{") {
      depth += 1;
    } else if (char === "," && depth === 1) {
      bodies.push(text.slice(from, at));
      from = at + 1;
    } else if (char !== ",") {
      depth -= 1;
      if (depth === 0) {
        if (at > from) bodies.push(text.slice(from, at));
        end = at;
        break;
      }
    }
  }
  if (end === -1) throw new SyntaxError("a page of events ends in the middle");
  const rest = JSON.parse(`${text.slice(0, start + 1)}${text.slice(end)}`) as Record<string, unknown>;
  return { bodies, nextAfter: Number(rest.next_after), head: Number(rest.head), minSeq: Number(rest.min_seq) };
}

/** Return where the string that begins at `open` ends. */
function closing(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}

/** An event and the bytes that it came as. */
export interface WireEvent {
  readonly event: HoldfastEvent;
  readonly body: string;
}

/** Return the events of a page. */
export function eventsOf(page: WirePage): WireEvent[] {
  return page.bodies.map((body) => ({ event: JSON.parse(body) as HoldfastEvent, body }));
}
