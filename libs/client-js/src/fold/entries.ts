/**
 * The records that a state is made of, with the very keys of `GET /v1/sessions/{s}/state`.
 *
 * Every key is always present; null means that nobody said. An entry object is never changed: what happens to it puts
 * a new object in its place, so `===` tells whether anything did.
 *
 * `withdrawn` marks what an attempt showed that didn't live to finish it: its text is empty and readers don't show it,
 * until a next attempt goes on with it.
 */

/** A JSON value of an application's own. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** An error as a user may see it. */
export interface ErrorInfo {
  /** kebab-case, stable: what programs look at. */
  readonly code: string;
  /** One sentence for a person. */
  readonly message: string;
  readonly retryable?: boolean;
  readonly details?: Json;
}

/** Tokens that were used. */
export interface Usage {
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly total_tokens?: number;
}

/** Where and when an entry first appeared. */
export interface Entry {
  readonly run_id: string | null;
  readonly step: string | null;
  readonly agent: string | null;
  readonly lane: string | null;
  readonly ts: string;
}

/** How far work has come. */
export type WorkStatus = "running" | "completed" | "failed" | "cancelled";

export interface Session {
  readonly session_id: string | null;
  readonly status: "active" | "expired" | "erased";
  readonly metadata: { readonly [key: string]: Json };
  readonly ttl_s: number | null;
  readonly created_ts: string | null;
}

export interface Progress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly label: string | null;
}

export interface Run {
  readonly run_id: string | null;
  readonly parent_run_id: string | null;
  readonly workflow: string | null;
  readonly workflow_version: string | null;
  readonly status: WorkStatus | "queued" | "waiting";
  readonly attempt: number | null;
  readonly ts: string;
  readonly started_ts: string | null;
  readonly ended_ts: string | null;
  readonly result: Json;
  readonly error: ErrorInfo | null;
  readonly reason: string | null;
  readonly stage: string | null;
  readonly progress: Progress | null;
  readonly usage: Usage | null;
  readonly duration_ms: number | null;
}

/** What was said. `cut`: its run ended before it was whole. */
export interface Message extends Entry {
  readonly message_id: string;
  readonly role: string;
  readonly content: string;
  readonly content_type: string;
  readonly trace_id: string | null;
  readonly complete: boolean;
  readonly cut: boolean;
  readonly withdrawn: boolean;
  readonly duration_ms: number | null;
}

/** What was thought; marks as in a message. */
export interface Reasoning extends Entry {
  readonly reasoning_id: string;
  readonly content: string;
  readonly complete: boolean;
  readonly cut: boolean;
  readonly withdrawn: boolean;
  readonly duration_ms: number | null;
}

/** A recorded unit of a run. */
export interface Step {
  readonly run_id: string | null;
  readonly key: string | null;
  readonly name: string;
  readonly agent: string | null;
  readonly lane: string | null;
  readonly status: WorkStatus | "retrying";
  readonly attempt: number | null;
  readonly ts: string;
  readonly ended_ts: string | null;
  readonly result: Json;
  readonly error: ErrorInfo | null;
  readonly duration_ms: number | null;
}

/** An agent's latest turn in a lane. */
export interface Agent extends Entry {
  readonly name: string;
  readonly role: string | null;
  readonly status: WorkStatus;
  readonly result: Json;
  readonly error: ErrorInfo | null;
  readonly duration_ms: number | null;
}

/** A model call. */
export interface LlmCall extends Entry {
  readonly call_id: string;
  readonly model: string | null;
  readonly text: string;
  readonly status: WorkStatus;
  readonly usage: Usage | null;
  readonly finish_reason: string | null;
  readonly error: ErrorInfo | null;
  readonly withdrawn: boolean;
  readonly duration_ms: number | null;
  readonly time_to_first_token_ms: number | null;
}

export interface ToolCall extends Entry {
  readonly call_id: string;
  readonly name: string;
  readonly args: Json;
  readonly status: WorkStatus;
  readonly progress: { readonly text: string | null; readonly fraction: number | null } | null;
  readonly result: Json;
  readonly content_type: string | null;
  readonly error: ErrorInfo | null;
  readonly withdrawn: boolean;
  readonly duration_ms: number | null;
}

export interface Plan extends Entry {
  readonly plan_id: string;
  readonly title: string | null;
  readonly items: readonly { readonly task_id: string; readonly title: string }[];
  readonly status: "created" | "failed";
  readonly error: ErrorInfo | null;
}

/** A task, planned or not. */
export interface Task extends Entry {
  readonly task_id: string;
  readonly plan_id: string | null;
  readonly title: string | null;
  readonly status: WorkStatus | "pending";
  readonly result: Json;
  readonly error: ErrorInfo | null;
  readonly reason: string | null;
  readonly duration_ms: number | null;
}

/** A piece of generated interface as it was last rendered. */
export interface Component extends Entry {
  readonly component_id: string;
  readonly component_type: string;
  readonly content: Json;
}

/** A question that nobody has answered yet. */
export interface PendingInput extends Entry {
  readonly input_id: string;
  readonly prompt: string;
  /** A JSON Schema that the answer must fit; null when any value will do. */
  readonly value_schema: { readonly [key: string]: Json } | null;
  readonly deadline: string | null;
}

/** Something to keep that came out of a run: inline as `content`, or elsewhere at `uri`. */
export interface Artifact extends Entry {
  readonly artifact_id: string;
  readonly name: string;
  readonly media_type: string;
  readonly content: string | null;
  readonly uri: string | null;
  readonly size: number | null;
}

/** A short notice. (Not `Notification`: that name is the browser's.) */
export interface Notice {
  readonly run_id: string | null;
  readonly agent: string | null;
  readonly ts: string;
  readonly level: "info" | "success" | "warning" | "error";
  readonly title: string | null;
  readonly text: string;
}

/** The tables of a state, and what each holds. */
export interface Entries {
  runs: Run;
  messages: Message;
  reasoning: Reasoning;
  steps: Step;
  agents: Agent;
  llm_calls: LlmCall;
  tools: ToolCall;
  plans: Plan;
  tasks: Task;
  components: Component;
  pending_inputs: PendingInput;
  artifacts: Artifact;
}

/**
 * What the events up to `seq` add up to: the JSON of `GET /v1/sessions/{s}/state`. Lists are in order of first
 * appearance; one that nothing happened to since the last look is the same array.
 */
export interface State extends Lists {
  readonly fold_version: number;
  readonly seq: number;
  readonly session: Session;
  /** The stage that the session's latest root run is in. */
  readonly stage: { readonly run_id: string | null; readonly from: string | null; readonly to: string } | null;
  readonly progress: ({ readonly run_id: string | null } & Progress) | null;
  /** From where a takeover would go on. */
  readonly checkpoint: Checkpoint | null;
  /** The state that agents share. */
  readonly shared: { readonly [key: string]: Json };
  readonly notifications: readonly Notice[];
  /** By list, how many of the oldest entries are left out. */
  readonly forgotten: { readonly [list in keyof Entries]?: number };
}

export interface Checkpoint {
  readonly run_id: string | null;
  readonly checkpoint_id: string;
  readonly namespace: string | null;
  readonly next: readonly string[];
  readonly ts: string;
}

type Lists = { readonly [list in keyof Entries]: readonly Entries[list][] };
