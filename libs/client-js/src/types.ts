/**
 * What the package promises, in one place: a connection, what it tells of itself, and what it can be asked.
 */

import type {
  Accepted,
  EventPage,
  MessageList,
  OnBusy,
  RunView,
  SessionDetail,
  SessionList,
  SessionStatus,
  SessionView,
  StateView,
  WorkflowList,
} from "./answers.js";
import type { HoldfastError } from "./errors.js";
import type { HoldfastEvent } from "./events.js";

/**
 * Where a connection stands.
 *
 * - `connecting`: a request is under way
 * - `catching-up`: events that happened before are coming in
 * - `live`: every event that exists has been delivered; the next one comes as it happens
 * - `waiting`: no stream at the moment; the next try is in `retryInMs`
 * - `stalled`: connected, but the run's worker is gone and no other has taken over yet
 * - `ended`: nothing follows, or `close()` was called
 * - `failed`: refused for good; `error` says why
 */
export type ConnectionState = "connecting" | "catching-up" | "live" | "waiting" | "stalled" | "ended" | "failed";

/** A connection's state, and what belongs to it. */
export interface Status {
  readonly state: ConnectionState;
  /** Tries in a row that brought nothing; 0 while all is well. */
  readonly attempt: number;
  /** With `waiting`: how long, in milliseconds. */
  readonly retryInMs?: number;
  /** With `stalled`: since when the run has had no worker, as the gateway says it. */
  readonly since?: string;
  /** With `failed`: the refusal. With `waiting`: what went wrong, if the gateway said it. */
  readonly error?: HoldfastError;
  /** With `waiting` and `ended`: why, in a few words for people. */
  readonly reason?: string;
}

/** What a connection went through. */
export interface Counters {
  /** Events handed out. */
  events: number;
  /** Streams opened, all but the first. */
  resumes: number;
  /** Streams given up because events were missing from them. */
  gaps: number;
  /** Events dropped because they were had before. */
  duplicates: number;
  resets: number;
}

/**
 * The stream goes on after `seq` instead of after the cursor: history before it is gone (`retention`), or the cursor
 * never was (`ahead`). Drop what was made of earlier events and load the state at `seq`.
 */
export interface Reset {
  readonly seq: number;
  readonly reason: string;
  /** The frame's own data. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** How long to wait before trying again, in milliseconds. */
export interface Backoff {
  /** The first wait is at most twice this, and the bound doubles with every failure in a row. */
  readonly firstMs: number;
  /** No wait is longer; what the server asks for comes on top. */
  readonly mostMs: number;
}

/**
 * Where a cursor survives a reload: `sessionStorage` for one tab, anything with these two methods otherwise. An event's
 * is kept when its callbacks have returned, or when whoever iterates asks for the next: one that a loop was left on
 * comes again.
 */
export interface CursorStore {
  /** Such as `sessionStorage`. */
  readonly storage: Pick<Storage, "getItem" | "setItem">;
  /** The entry's name; one per stream. */
  readonly key: string;
}

/** Headers as they are, or a function that is asked before every request (a token that expires). */
export type HeadersSource = HeadersInit | (() => HeadersInit | Promise<HeadersInit>);

export interface ConnectOptions {
  readonly headers?: HeadersSource;
  /** The seq of the last event that is had already; 0, the default, means from the beginning. */
  readonly after?: number;
  /** Ends the connection, as `close()` does. */
  readonly signal?: AbortSignal;
  /** Every event, in order, each once. */
  readonly onEvent?: (event: HoldfastEvent) => void;
  /** The same events in batches: what one read brought, or one animation frame with `coalesce`. */
  readonly onEvents?: (events: readonly HoldfastEvent[]) => void;
  readonly onStatus?: (status: Status) => void;
  /** Once per stream: all that was there when it began has been delivered. */
  readonly onCaughtUp?: (head: number) => void;
  /** Load the state at `reset.seq`; events that follow wait until the returned promise is done. */
  readonly onReset?: (reset: Reset) => void | Promise<void>;
  /** The last event that is wanted: the connection ends with it, instead of with the gateway's next answer. */
  readonly endsWith?: (event: HoldfastEvent) => boolean;
  /** `"frame"`: at most one batch per animation frame. */
  readonly coalesce?: "frame" | false;
  /** Keeps the cursor over reloads; a kept cursor above `after` wins. */
  readonly store?: CursorStore;
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch;
  readonly backoff?: Partial<Backoff>;
  /** How long a request may go unanswered. */
  readonly handshakeTimeoutMs?: number;
  /** How long a stream may be silent: the gateway sends a heartbeat every 15 s. */
  readonly stallTimeoutMs?: number;
}

/**
 * Follows a stream for ever: as many requests as it takes, no event lost, none twice.
 *
 * Iterate over it, or give callbacks. The first `for await` takes the events over from then on: what isn't read is not
 * fetched either, so a slow reader slows the stream down instead of filling the memory.
 */
export interface Connection extends AsyncIterable<HoldfastEvent> {
  /** The seq up to which all is accounted for. */
  readonly cursor: number;
  readonly status: Status;
  readonly counters: Readonly<Counters>;
  /** Resolves with the last status, `ended` or `failed`; never rejects. */
  readonly ended: Promise<Status>;
  /** Ends it. `cursor` says where to go on. */
  close(): void;
  /** Drops the socket as a network would; the connection resumes by itself, in less than half a second. */
  cut(): void;
}

/** What a stream is asked for, beside what every connection takes. */
export interface StreamOptions extends ConnectOptions {
  /** Types and families, such as `["run.*", "message.completed"]`; the cursor moves past all else. */
  readonly types?: readonly string[];
}

export interface SessionStreamOptions extends StreamOptions {
  /** Only what this agent did. */
  readonly agent?: string;
}

/** A run to start. */
export interface RunRequest {
  readonly workflow: string;
  /** Checked against the workflow's input schema. */
  readonly input?: unknown;
  /** Without one, the run gets a session of its own. */
  readonly session_id?: string;
  readonly on_busy?: OnBusy;
  /** Not before this moment, with its time zone: `new Date(…).toISOString()`. */
  readonly start_at?: string;
  /** On whose behalf; shown in the run's events. */
  readonly user_id?: string;
  /** The same key, the same run, once. Without one, one is made per call. */
  readonly idempotencyKey?: string;
}

/** Of single calls: give up early. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * A gateway's calls. Answers are its JSON as it is; refusals are thrown as `HoldfastError`. A call that got no answer,
 * or a passing refusal (429, 503), is made again by itself, which is safe: each POST carries an idempotency key, and
 * erasing twice is erasing.
 */
export interface Client {
  readonly baseUrl: string;
  sessions(
    query?: {
      readonly status?: SessionStatus;
      readonly limit?: number;
      readonly cursor?: string;
    },
    options?: CallOptions,
  ): Promise<SessionList>;
  session(sessionId: string, options?: CallOptions): Promise<SessionDetail>;
  createSession(
    body?: {
      readonly session_id?: string;
      readonly ttl_s?: number;
      readonly metadata?: Record<string, unknown>;
    },
    options?: CallOptions,
  ): Promise<SessionView>;
  /** Its events go for good, a tombstone stays. */
  eraseSession(sessionId: string, reason?: string): Promise<SessionView>;
  startRun(run: RunRequest, options?: CallOptions): Promise<Accepted>;
  run(runId: string, options?: CallOptions): Promise<RunView>;
  /** Asks for its end; 409 once it has ended. */
  cancel(runId: string, reason?: string): Promise<RunView>;
  /** Answers a run's request for input; the first answer counts. */
  respond(runId: string, inputId: string, value: unknown): Promise<RunView>;
  /** Tells a run something that it did not ask for. */
  steer(runId: string, value: unknown): Promise<RunView>;
  /** One page, at most 500 events. */
  events(
    sessionId: string,
    query?: {
      readonly after?: number;
      readonly limit?: number;
      readonly types?: readonly string[];
    },
    options?: CallOptions,
  ): Promise<EventPage>;
  /** The events up to and with seq `at` (all, without one) folded by the gateway. */
  state(sessionId: string, query?: { readonly at?: number }, options?: CallOptions): Promise<StateView>;
  messages(sessionId: string, query?: { readonly at?: number }, options?: CallOptions): Promise<MessageList>;
  workflows(options?: CallOptions): Promise<WorkflowList>;
  /** Follows a session over all its runs. */
  stream(sessionId: string, options?: SessionStreamOptions): Connection;
  /** Follows a run and the runs below it; ends with its terminal event. */
  runStream(runId: string, options?: StreamOptions): Connection;
}

export interface ClientOptions {
  /** The gateway's address, such as `https://holdfast.example`; `""` is the page's own. */
  readonly baseUrl: string;
  /** For every request, streams included. */
  readonly headers?: HeadersSource;
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch;
  readonly backoff?: Partial<Backoff>;
}
