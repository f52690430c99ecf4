/** What streams and calls have in common: headers, refusals, and which of them pass. */

import { HoldfastError, type Problem } from "./errors.js";
import type { HeadersSource } from "./types.js";

/** The headers of a source, as they are now, and `own` on top. */
export async function headersOf(source: HeadersSource | undefined, own: Record<string, string>): Promise<Headers> {
  const headers = new Headers(typeof source === "function" ? await source() : source);
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  return headers;
}

/** Whether the same request may succeed later. All else in the 4xx is final. */
export function isPassing(status: number): boolean {
  return status < 200 || status >= 500 || status === 408 || status === 425 || status === 429;
}

/** What a `Retry-After` asks for; its date form is rare and left alone. */
export function retryAfterMs(response: Response): number | undefined {
  const value = response.headers.get("retry-after") ?? "";
  return /^\d{1,9}$/.test(value) ? Number(value) * 1000 : undefined;
}

/** Reads a refusal; a body that is no problem document (a proxy's page) leaves the status to speak. */
export async function refusalOf(response: Response): Promise<HoldfastError> {
  const { status } = response;
  const said: Partial<Problem> | null | undefined = await response.json().catch(() => undefined);
  return problemOf(status, `http-${status}`, `the gateway answered ${status}`, said ?? undefined);
}

/** An error of our own making, in the shape of a gateway's. */
export function problemOf(status: number, code: string, title: string, said?: Partial<Problem>): HoldfastError {
  return new HoldfastError({
    type: "about:blank",
    title,
    code,
    ...said,
    status,
  });
}

/** Adds parameters to a URL; those without a value are left out. */
export function withQuery(url: string, query: object = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const text = Array.isArray(value) ? value.join() : value;
    if (text !== undefined && text !== "") params.set(name, text);
  }
  const text = params.toString();
  return text ? `${url}${url.includes("?") ? "&" : "?"}${text}` : url;
}
