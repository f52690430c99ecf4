import { Icon } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { Value } from "../Value.tsx";
import { meaning } from "../words.ts";
import "./notes.css";

interface ProblemProps {
  /** An `ErrorInfo`, as the fold or the wire has it. */
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryable?: boolean;
    readonly details?: unknown;
  };
}

/** An error as a person reads it: its sentence, what its code means, and its details behind a click. */
export function Problem({ error }: ProblemProps) {
  const more = meaning(error.code);
  return (
    <div className="problem">
      <Icon name="alert" size={14} />
      <div className="problem-words">
        <p>
          <Text pre limit={600}>
            {error.message}
          </Text>
        </p>
        {more !== null && <p>{more}</p>}
        <p className="problem-code">
          <Text mono>{error.code}</Text>
          {error.retryable === true && " · trying again may help"}
        </p>
        {error.details !== undefined && error.details !== null && (
          <details>
            <summary>Details</summary>
            <Value value={error.details} />
          </details>
        )}
      </div>
    </div>
  );
}
