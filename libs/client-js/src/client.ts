/** A gateway's calls, typed. */

import { BACKOFF, delayMs, pause } from "./backoff.js";
import { connect } from "./connection.js";
import { HoldfastError } from "./errors.js";
import { headersOf, isPassing, problemOf, refusalOf, retryAfterMs, withQuery } from "./http.js";
import type { CallOptions, Client, ClientOptions, StreamOptions } from "./types.js";

/** Tried three times: some 0.6 s in all when the connection is refused, short enough for a person who waits. */
const CALL_TRIES = 3;

/** A page of 500 events comes in 10 ms; 30 s is a gateway whose database is away. */
const CALL_TIMEOUT_MS = 30_000;

/** The first request with this idempotency key is still under way: its answer can be had in a moment. */
const IN_FLIGHT = "idempotency-key-in-flight";

const TERMINAL: readonly string[] = ["run.completed", "run.failed", "run.cancelled"];

interface Call extends CallOptions {
  readonly query?: object | undefined;
  readonly body?: unknown;
  readonly key?: string | undefined;
}

/**
 * Talks to a gateway.
 *
 *     const client = createClient({ baseUrl: "http://127.0.0.1:8000" });
 *     const { run_id, after } = await client.startRun({ workflow: "ticker", input: { events: 3 } });
 *     for await (const event of client.runStream(run_id, { after })) console.log(event.type);
 */
export function createClient(options: ClientOptions): Client {
  const { fetch = globalThis.fetch, headers } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const backoff = { ...BACKOFF, ...options.backoff };
  const session = (id: string, rest = "") => `${baseUrl}/v1/sessions/${segment(id)}${rest}`;
  const run = (id: string, rest = "") => `${baseUrl}/v1/runs/${segment(id)}${rest}`;

  async function call<Answer>(method: string, url: string, { query, body, key, signal }: Call = {}): Promise<Answer> {
    // One key for all tries: the same request, once.
    const own: Record<string, string> = { accept: "application/json" };
    if (body !== undefined) own["content-type"] = "application/json";
    if (method === "POST") own["idempotency-key"] = key ?? newKey();
    for (let number = 1; ; number++) {
      let failure: HoldfastError;
      let askedMs: number | undefined;
      const abort = new AbortController();
      const give = () => abort.abort(signal?.reason);
      const timer = setTimeout(() => abort.abort(new Error("no answer in time")), CALL_TIMEOUT_MS);
      try {
        signal?.throwIfAborted();
        signal?.addEventListener("abort", give);
        const response = await fetch(withQuery(url, query), {
          method,
          headers: await headersOf(headers, own),
          body: body === undefined ? null : JSON.stringify(body),
          // A POST that is redirected arrives as a GET: its answer would be taken for that of something done.
          redirect: method === "GET" ? "follow" : "error",
          signal: abort.signal,
        });
        if (response.ok) return (await response.json()) as Answer;
        failure = await refusalOf(response);
        if (!isPassing(failure.status) && failure.code !== IN_FLIGHT) throw failure;
        askedMs = retryAfterMs(response);
      } catch (error) {
        if (signal?.aborted || error instanceof HoldfastError) throw error;
        failure = problemOf(0, "unreachable", `cannot reach the gateway: ${(error as Error).message}`);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", give);
      }
      if (number === CALL_TRIES) throw failure;
      await pause(delayMs(backoff, number, askedMs), signal);
    }
  }

  const follow = <Options extends StreamOptions>(url: string, given: Options, query: object) =>
    connect(withQuery(url, { types: given.types, ...query }), {
      ...given,
      fetch: given.fetch ?? fetch,
      headers: given.headers ?? headers,
      backoff: given.backoff ?? backoff,
    });

  return {
    baseUrl,
    sessions: (query, options) => call("GET", `${baseUrl}/v1/sessions`, { query, ...options }),
    session: async (id, options) => call("GET", session(id), options),
    createSession: (body = {}, options) => call("POST", `${baseUrl}/v1/sessions`, { body, ...options }),
    eraseSession: async (id, reason) => call("DELETE", session(id), { query: { reason } }),
    startRun: async ({ session_id, idempotencyKey: key, ...body }, options) =>
      call("POST", session_id === undefined ? `${baseUrl}/v1/runs` : session(session_id, "/runs"), {
        body,
        key,
        ...options,
      }),
    run: async (id, options) => call("GET", run(id), options),
    cancel: async (id, reason) => call("POST", run(id, "/cancel"), { body: { reason } }),
    respond: async (id, input_id, value) => call("POST", run(id, "/input"), { body: { input_id, value } }),
    steer: async (id, value) => call("POST", run(id, "/input"), { body: { value } }),
    events: async (id, query, options) => call("GET", session(id, "/events"), { query, ...options }),
    state: async (id, query, options) => call("GET", session(id, "/state"), { query, ...options }),
    messages: async (id, query, options) => call("GET", session(id, "/messages"), { query, ...options }),
    workflows: (options) => call("GET", `${baseUrl}/v1/workflows`, options),
    stream: (id, options = {}) => follow(session(id, "/stream"), options, { agent: options.agent }),
    runStream: (id, options = {}) =>
      follow(
        run(id, "/stream"),
        {
          // Children of the run end in its stream, too; only its own end is the stream's.
          endsWith: ({ type, run_id }) => run_id === id && TERMINAL.includes(type),
          ...options,
        },
        {},
      ),
  };
}

/** Quotes an id for a path. A dot segment would be resolved away, into another route. */
function segment(id: string): string {
  if (/^\.{0,2}$/.test(id)) throw new TypeError(`'${id}' is no id`);
  return encodeURIComponent(id);
}

/** 128 random bits; `crypto.randomUUID` is not there on a page that came over plain HTTP. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
