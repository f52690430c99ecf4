/** One field of a request that doesn't fit. */
export interface FieldError {
  readonly in: string;
  /** JSON pointer to the field. */
  readonly pointer: string;
  readonly detail: string;
}

/** A problem document (RFC 9457) as the gateway sends it; a code of ours may add members. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly instance?: string;
  readonly request_id?: string;
  readonly errors?: readonly FieldError[] | null;
  readonly [member: string]: unknown;
}

/**
 * A refusal, or no answer at all (`status` 0, `code` "unreachable"). Decide on `code`, show `message` to people, find
 * `requestId` in the logs.
 */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  readonly status: number;
  readonly code: string;
  readonly type: string;
  readonly title: string;
  readonly detail: string | undefined;
  readonly requestId: string | undefined;
  /** What is wrong with which field, if fields are to blame. */
  readonly errors: readonly FieldError[];
  /** All of the document. */
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail || problem.title, options);
    this.problem = problem;
    this.status = problem.status;
    this.code = problem.code;
    this.type = problem.type;
    this.title = problem.title;
    this.detail = problem.detail;
    this.requestId = problem.request_id;
    this.errors = problem.errors ?? [];
  }
}
