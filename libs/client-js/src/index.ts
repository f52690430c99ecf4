/** Follow Holdfast's sessions and runs: one cursor, as many connections as it takes. */

export type * from "./answers.js";
export { createClient } from "./client.js";
export { connect } from "./connection.js";
export { type FieldError, HoldfastError, type Problem } from "./errors.js";
export type * from "./events.js";
export type {
  Agent,
  Artifact,
  Checkpoint,
  Component,
  Entry,
  LlmCall,
  Message,
  Notice,
  PendingInput,
  Plan,
  Progress,
  Reasoning,
  Run,
  Session,
  State,
  Step,
  Task,
  ToolCall,
  WorkStatus,
} from "./fold/index.js";
export type * from "./types.js";
