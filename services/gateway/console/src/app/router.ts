/**
 * Where in the console one is: the path names the page, the fragment the place within it.
 *
 *     /console                            every session
 *     /console/sessions/<id>              one session
 *     /console/sessions/<id>#seq=1337     as it was at event 1,337
 *
 * The gateway answers every path under /console with the same page. `#/sessions/<id>?seq=1337` is understood as well,
 * and rewritten: it is what such links look like where a server knows one path only.
 */

import { useCallback, useMemo, useSyncExternalStore } from "react";

export const BASE = "/console";

export type Route =
  | { readonly page: "sessions" }
  | { readonly page: "session"; readonly sessionId: string }
  | { readonly page: "unknown"; readonly path: string };

/** A route, and the parameters within its page. */
export interface Place {
  readonly route: Route;
  readonly query: URLSearchParams;
  readonly fragment: URLSearchParams;
}

type Address = Pick<Location, "pathname" | "search" | "hash">;

/** Return what an address stands for. */
export function placeOf(address: Address): Place {
  return {
    route: routeOf(address.pathname),
    query: new URLSearchParams(address.search),
    fragment: new URLSearchParams(address.hash.startsWith("#/") ? "" : address.hash.slice(1)),
  };
}

/** Return the address to use instead, or null when it is as it should be. */
export function rewritten(address: Address): string | null {
  if (!address.hash.startsWith("#/")) return null;
  const [path = "", query = ""] = address.hash.slice(1).split("?", 2);
  return BASE + (path === "/" ? "" : path) + (query ? `#${query}` : "");
}

function routeOf(pathname: string): Route {
  const path = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length === 0 || (parts.length === 1 && parts[0] === "sessions")) return { page: "sessions" };
  const [first, second] = parts;
  if (parts.length === 2 && first === "sessions" && second !== undefined) {
    const sessionId = decoded(second);
    if (sessionId !== null) return { page: "session", sessionId };
  }
  return { page: "unknown", path };
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null; // half of a percent sign
  }
}

/** Return the path of the list of sessions. */
export function sessionsPath(): string {
  return BASE;
}

/** Return the path of a session, at an event if `seq` is given. */
export function sessionPath(sessionId: string, seq?: number): string {
  const path = `${BASE}/sessions/${encodeURIComponent(sessionId)}`;
  return seq === undefined ? path : `${path}#seq=${seq}`;
}

const MOVED = "holdfast:moved";

/** Go to an address of the console. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new Event(MOVED));
}

function subscribe(changed: () => void): () => void {
  const moved = () => {
    const instead = rewritten(location);
    if (instead !== null) history.replaceState(null, "", instead);
    changed();
  };
  const kinds = [MOVED, "popstate", "hashchange"];
  for (const kind of kinds) addEventListener(kind, moved);
  // The page may have been opened by such a link.
  moved();
  return () => {
    for (const kind of kinds) removeEventListener(kind, moved);
  };
}

/** Return where one is; renders again whenever that changes. */
export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => location.href);
  return useMemo(() => placeOf(new URL(href)), [href]);
}

type SetParam = (value: string | null, options?: { replace?: boolean }) => void;

/** A parameter of the fragment, such as `seq`, and what changes it (replacing the entry of the history by default). */
export function useFragmentParam(name: string): [string | null, SetParam] {
  const value = usePlace().fragment.get(name);
  const set = useCallback<SetParam>(
    (next, { replace = true } = {}) => {
      const fragment = placeOf(location).fragment;
      if (next === null) fragment.delete(name);
      else fragment.set(name, next);
      const text = fragment.toString();
      const to = location.pathname + location.search + (text ? `#${text}` : "");
      if (to !== location.pathname + location.search + location.hash) navigate(to, { replace });
    },
    [name],
  );
  return [value, set];
}
