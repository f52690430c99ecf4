// Made by scripts/events.mjs from docs/events.v1.schema.json: `make schema` writes it anew.

/** What every event carries, whatever its type. */
export interface Envelope {
  agent?: string;
  /** which worker's try at the run */
  attempt?: number;
  item_id?: string;
  /** parallel branch */
  lane?: string;
  metadata?: Record<string, unknown>;
  parent_run_id?: string;
  run_id?: string;
  /** place in the session's one order; the SSE id and the cursor */
  seq: number;
  session_id: string;
  /** key of the step within its run */
  step?: string;
  task_id?: string;
  /** of the caller's or the run's trace */
  trace_id?: string;
  /** the worker's clock, UTC; informative, never an order */
  ts: string;
  user_id?: string;
  /** version of the wire */
  v: 1;
}

/** The session exists; always seq 1. */
export interface SessionCreated extends Envelope {
  type: "session.created";
  data: SessionCreatedData;
}

/** The session's time to live ran out; nothing follows but an erasure. */
export interface SessionExpired extends Envelope {
  type: "session.expired";
  data: SessionExpiredData;
}

/** Everything before this event was deleted for good. */
export interface SessionErased extends Envelope {
  type: "session.erased";
  data: SessionErasedData;
}

/** A worker claimed the run and is about to take its first step. */
export interface RunStarted extends Envelope {
  type: "run.started";
  data: RunStartedData;
}

/** A worker goes on with a run that stopped: the envelope's `attempt` tells which try this is. */
export interface RunResumed extends Envelope {
  type: "run.resumed";
  data: RunResumedData;
}

/** The attempt failed in a way that trying again may mend; the next one begins after `delay_ms`. */
export interface RunRetrying extends Envelope {
  type: "run.retrying";
  data: RunRetryingData;
}

/** Terminal: the workflow returned. */
export interface RunCompleted extends Envelope {
  type: "run.completed";
  data: RunCompletedData;
}

/** Terminal: the workflow raised, or Holdfast gave the run up; `error.code` tells which. */
export interface RunFailed extends Envelope {
  type: "run.failed";
  data: RunFailedData;
}

/** Terminal: somebody asked for the end and got it. */
export interface RunCancelled extends Envelope {
  type: "run.cancelled";
  data: RunCancelledData;
}

/** The run waits for a person; it holds no worker meanwhile. */
export interface InputRequested extends Envelope {
  type: "input.requested";
  data: InputRequestedData;
}

/** The answer arrived; the first one counts. */
export interface InputReceived extends Envelope {
  type: "input.received";
  data: InputReceivedData;
}

/** Nobody answered before the deadline. */
export interface InputExpired extends Envelope {
  type: "input.expired";
  data: InputExpiredData;
}

/** The run entered another stage of its work. */
export interface StageChanged extends Envelope {
  type: "stage.changed";
  data: StageChangedData;
}

/** The step's function is about to be called. The envelope's `step` is its key. */
export interface StepStarted extends Envelope {
  type: "step.started";
  data: StepStartedData;
}

/** The step's result is recorded and will never be computed again. */
export interface StepCompleted extends Envelope {
  type: "step.completed";
  data: StepCompletedData;
}

/** The step raised and will not be tried again. */
export interface StepFailed extends Envelope {
  type: "step.failed";
  data: StepFailedData;
}

/** The step raised and is tried again after `delay_ms`. */
export interface StepRetrying extends Envelope {
  type: "step.retrying";
  data: StepRetryingData;
}

/** A new attempt does the step over: drop what the earlier attempt showed of it. */
export interface StepRestarted extends Envelope {
  type: "step.restarted";
  data: StepRestartedData;
}

/** An agent takes its turn. The envelope's `agent` is its name. */
export interface AgentStarted extends Envelope {
  type: "agent.started";
  data: AgentStartedData;
}

/** The agent's turn is over. */
export interface AgentCompleted extends Envelope {
  type: "agent.completed";
  data: AgentCompletedData;
}

/** The agent's turn ended in an error; the run may still go on. */
export interface AgentFailed extends Envelope {
  type: "agent.failed";
  data: AgentFailedData;
}

/** A model is being called. */
export interface LlmStarted extends Envelope {
  type: "llm.started";
  data: LlmStartedData;
}

/** Raw text from the model, where it is not shown as a message. */
export interface LlmDelta extends Envelope {
  type: "llm.delta";
  data: LlmDeltaData;
}

/** The model finished its answer. */
export interface LlmCompleted extends Envelope {
  type: "llm.completed";
  data: LlmCompletedData;
}

/** The model call ended in an error that a user can understand. */
export interface LlmFailed extends Envelope {
  type: "llm.failed";
  data: LlmFailedData;
}

/** A message begins; its chunks follow under the same id. */
export interface MessageStarted extends Envelope {
  type: "message.started";
  data: MessageStartedData;
}

/** The next piece of a message's text. */
export interface MessageDelta extends Envelope {
  type: "message.delta";
  data: MessageDeltaData;
}

/** The whole message; it replaces whatever chunks were shown. */
export interface MessageCompleted extends Envelope {
  type: "message.completed";
  data: MessageCompletedData;
}

/** The model thinks aloud. */
export interface ReasoningStarted extends Envelope {
  type: "reasoning.started";
  data: ReasoningStartedData;
}

/** The next piece of a thought. */
export interface ReasoningDelta extends Envelope {
  type: "reasoning.delta";
  data: ReasoningDeltaData;
}

/** The whole thought. */
export interface ReasoningCompleted extends Envelope {
  type: "reasoning.completed";
  data: ReasoningCompletedData;
}

/** A tool is being called. */
export interface ToolStarted extends Envelope {
  type: "tool.started";
  data: ToolStartedData;
}

/** The tool tells how far it is. */
export interface ToolProgress extends Envelope {
  type: "tool.progress";
  data: ToolProgressData;
}

/** The tool returned; its result is normalised here, once. */
export interface ToolCompleted extends Envelope {
  type: "tool.completed";
  data: ToolCompletedData;
}

/** The tool raised. */
export interface ToolFailed extends Envelope {
  type: "tool.failed";
  data: ToolFailedData;
}

/** What is going to be done, in order; the same plan id replaces an earlier plan. */
export interface PlanCreated extends Envelope {
  type: "plan.created";
  data: PlanCreatedData;
}

/** No plan could be made, or it can't be carried out. */
export interface PlanFailed extends Envelope {
  type: "plan.failed";
  data: PlanFailedData;
}

/** Work on a task begins. */
export interface TaskStarted extends Envelope {
  type: "task.started";
  data: TaskStartedData;
}

/** The task is done. */
export interface TaskCompleted extends Envelope {
  type: "task.completed";
  data: TaskCompletedData;
}

/** The task could not be done. */
export interface TaskFailed extends Envelope {
  type: "task.failed";
  data: TaskFailedData;
}

/** The task was given up before its end. */
export interface TaskCancelled extends Envelope {
  type: "task.cancelled";
  data: TaskCancelledData;
}

/** A piece of generated interface; the same component id replaces the earlier one. */
export interface ComponentRendered extends Envelope {
  type: "component.rendered";
  data: ComponentRenderedData;
}

/** A short notice for the user. */
export interface NotificationSent extends Envelope {
  type: "notification.sent";
  data: NotificationSentData;
}

/** How much of the run is done, as a fraction of one. */
export interface ProgressUpdated extends Envelope {
  type: "progress.updated";
  data: ProgressUpdatedData;
}

/** Something to keep came out of the run; large content is a `uri`, small content is inline. */
export interface ArtifactCreated extends Envelope {
  type: "artifact.created";
  data: ArtifactCreatedData;
}

/** The whole shared state of the run's agents. */
export interface StateSnapshot extends Envelope {
  type: "state.snapshot";
  data: StateSnapshotData;
}

/** Keys of the shared state that changed; None removes a key. */
export interface StateUpdated extends Envelope {
  type: "state.updated";
  data: StateUpdatedData;
}

/** A framework's own state is on disk; a takeover goes on from here. */
export interface CheckpointSaved extends Envelope {
  type: "checkpoint.saved";
  data: CheckpointSavedData;
}

/** A new attempt goes on from this checkpoint. */
export interface CheckpointRestored extends Envelope {
  type: "checkpoint.restored";
  data: CheckpointRestoredData;
}

/** The session's owner took the command on; its effect follows in the log. */
export interface CommandAccepted extends Envelope {
  type: "command.accepted";
  data: CommandAcceptedData;
}

/** The command was refused: what it asked for is no longer possible. */
export interface CommandRejected extends Envelope {
  type: "command.rejected";
  data: CommandRejectedData;
}

/** A middleware let the call through. */
export interface MiddlewareExecuted extends Envelope {
  type: "middleware.executed";
  data: MiddlewareExecutedData;
}

/** A middleware stopped the call. */
export interface MiddlewareFailed extends Envelope {
  type: "middleware.failed";
  data: MiddlewareFailedData;
}

/** An application's own event; its data is what the registered model says. */
export interface CustomEvent extends Envelope {
  type: `custom.${string}`;
  data: CustomEventData;
}

export interface AgentCompletedData {
  duration_ms: number;
  name: string;
  result?: unknown;
}

export interface AgentFailedData {
  duration_ms: number;
  error: ErrorInfo;
  name: string;
}

export interface AgentStartedData {
  name: string;
  role?: string;
}

export interface ArtifactCreatedData {
  artifact_id: string;
  content?: string;
  media_type: string;
  name: string;
  size?: number;
  uri?: string;
}

export interface CheckpointRestoredData {
  checkpoint_id: string;
  namespace?: string;
}

export interface CheckpointSavedData {
  checkpoint_id: string;
  namespace?: string;
  next: string[];
}

export interface CommandAcceptedData {
  command_id: string;
  kind: string;
  start_at?: string;
}

export interface CommandRejectedData {
  command_id: string;
  kind: string;
  reason: string;
}

export interface ComponentRenderedData {
  component_id: string;
  component_type: string;
  content?: unknown;
}

export type CustomEventData = Record<string, unknown>;

/** An error as a user may see it: no stack trace, no secret. */
export interface ErrorInfo {
  /** kebab-case, stable: what programs look at */
  code: string;
  details?: Record<string, unknown>;
  /** one sentence for a person */
  message: string;
  /** whether doing the same again may help */
  retryable: boolean;
}

export interface InputExpiredData {
  duration_ms: number;
  input_id: string;
}

export interface InputReceivedData {
  duration_ms: number;
  input_id: string;
  value?: unknown;
}

export interface InputRequestedData {
  deadline?: string;
  input_id: string;
  prompt: string;
  /** JSON Schema that the answer must satisfy */
  value_schema?: Record<string, unknown>;
}

export interface LlmCompletedData {
  call_id: string;
  duration_ms: number;
  finish_reason?: string;
  model?: string;
  time_to_first_token_ms?: number;
  usage?: Usage;
}

export interface LlmDeltaData {
  call_id: string;
  text: string;
}

export interface LlmFailedData {
  call_id: string;
  duration_ms: number;
  error: ErrorInfo;
  model?: string;
}

export interface LlmStartedData {
  call_id: string;
  model?: string;
}

export interface MessageCompletedData {
  content: string;
  content_type: string;
  duration_ms: number;
  message_id: string;
  role: "user" | "assistant" | "system" | "tool";
}

export interface MessageDeltaData {
  message_id: string;
  text: string;
}

export interface MessageStartedData {
  content_type: string;
  message_id: string;
  role: "user" | "assistant" | "system" | "tool";
}

export interface MiddlewareExecutedData {
  duration_ms: number;
  name: string;
}

export interface MiddlewareFailedData {
  duration_ms: number;
  error: ErrorInfo;
  name: string;
}

export interface NotificationSentData {
  level: "info" | "success" | "warning" | "error";
  text: string;
  title?: string;
}

export interface PlanCreatedData {
  items: PlanItem[];
  plan_id: string;
  title?: string;
}

export interface PlanFailedData {
  error: ErrorInfo;
  plan_id: string;
}

/** One task of a plan. */
export interface PlanItem {
  task_id: string;
  title: string;
}

export interface ProgressUpdatedData {
  fraction: number;
  label?: string;
}

export interface ReasoningCompletedData {
  content: string;
  duration_ms: number;
  reasoning_id: string;
}

export interface ReasoningDeltaData {
  reasoning_id: string;
  text: string;
}

export interface ReasoningStartedData {
  reasoning_id: string;
}

export interface RunCancelledData {
  duration_ms: number;
  reason?: string;
}

export interface RunCompletedData {
  duration_ms: number;
  result?: unknown;
  usage?: Usage;
}

export interface RunFailedData {
  duration_ms: number;
  error: ErrorInfo;
}

export interface RunResumedData {
  reason: "takeover" | "input" | "timer" | "drain" | "retry";
}

export interface RunRetryingData {
  delay_ms: number;
  error: ErrorInfo;
  next_attempt: number;
}

export interface RunStartedData {
  input?: unknown;
  workflow: string;
  workflow_version: string;
}

export interface SessionCreatedData {
  metadata?: Record<string, unknown>;
  ttl_s?: number;
}

export interface SessionErasedData {
  erased_through: number;
  reason?: string;
}

export interface SessionExpiredData {
  ttl_s?: number;
}

export interface StageChangedData {
  from?: string;
  to: string;
}

export interface StateSnapshotData {
  state: Record<string, unknown>;
}

export interface StateUpdatedData {
  changes: Record<string, unknown>;
}

export interface StepCompletedData {
  duration_ms: number;
  name: string;
  result?: unknown;
}

export interface StepFailedData {
  duration_ms: number;
  error: ErrorInfo;
  name: string;
}

export interface StepRestartedData {
  name: string;
}

export interface StepRetryingData {
  delay_ms: number;
  error: ErrorInfo;
  name: string;
  next_try: number;
}

export interface StepStartedData {
  name: string;
}

export interface TaskCancelledData {
  duration_ms: number;
  reason?: string;
  task_id: string;
}

export interface TaskCompletedData {
  duration_ms: number;
  result?: unknown;
  task_id: string;
}

export interface TaskFailedData {
  duration_ms: number;
  error: ErrorInfo;
  task_id: string;
}

export interface TaskStartedData {
  task_id: string;
  title?: string;
}

export interface ToolCompletedData {
  call_id: string;
  content_type: string;
  duration_ms: number;
  name: string;
  result?: unknown;
}

export interface ToolFailedData {
  call_id: string;
  duration_ms: number;
  error: ErrorInfo;
  name: string;
}

export interface ToolProgressData {
  call_id: string;
  fraction?: number;
  name: string;
  text?: string;
}

export interface ToolStartedData {
  args?: unknown;
  call_id: string;
  name: string;
}

/** Tokens that a model call consumed. */
export interface Usage {
  input_tokens?: number;
  output_tokens?: number;
  total_tokens?: number;
}

/** Every event that this version knows, told apart by `type`. */
export type KnownEvent =
  | SessionCreated
  | SessionExpired
  | SessionErased
  | RunStarted
  | RunResumed
  | RunRetrying
  | RunCompleted
  | RunFailed
  | RunCancelled
  | InputRequested
  | InputReceived
  | InputExpired
  | StageChanged
  | StepStarted
  | StepCompleted
  | StepFailed
  | StepRetrying
  | StepRestarted
  | AgentStarted
  | AgentCompleted
  | AgentFailed
  | LlmStarted
  | LlmDelta
  | LlmCompleted
  | LlmFailed
  | MessageStarted
  | MessageDelta
  | MessageCompleted
  | ReasoningStarted
  | ReasoningDelta
  | ReasoningCompleted
  | ToolStarted
  | ToolProgress
  | ToolCompleted
  | ToolFailed
  | PlanCreated
  | PlanFailed
  | TaskStarted
  | TaskCompleted
  | TaskFailed
  | TaskCancelled
  | ComponentRendered
  | NotificationSent
  | ProgressUpdated
  | ArtifactCreated
  | StateSnapshot
  | StateUpdated
  | CheckpointSaved
  | CheckpointRestored
  | CommandAccepted
  | CommandRejected
  | MiddlewareExecuted
  | MiddlewareFailed
  | CustomEvent;
