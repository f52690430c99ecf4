import { Button } from "../ui/Button.tsx";
import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";

const ROWS = ["60%", "45%", "52%", "38%", "56%"];

/** Where the list will be, until it is there. */
export function Waiting() {
  return (
    <div className="sessions-waiting" role="status">
      <span className="visually-hidden">Loading sessions</span>
      {ROWS.map((width) => (
        <div key={width} className="session-row" aria-hidden="true">
          <span className="skeleton" style={{ width: 76 }} />
          <span className="skeleton" style={{ width }} />
          <span className="skeleton" style={{ width: 64 }} />
        </div>
      ))}
    </div>
  );
}

interface NothingProps {
  readonly filtered: boolean;
  readonly onClear: () => void;
  readonly onStart: () => void;
}

/** Why there is no session, and what to do about it. */
export function Nothing({ filtered, onClear, onStart }: NothingProps) {
  if (filtered) {
    return (
      <EmptyState
        icon={<Icon name="search" size={24} />}
        title="No session matches"
        action={<Button onClick={onClear}>Show all</Button>}
      >
        Of those that are loaded. A session that is older is opened by typing its whole id.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon={<Icon name="inbox" size={26} />}
      title="No sessions yet"
      action={
        <Button tone="primary" icon={<Icon name="plus" />} onClick={onStart}>
          Start a run
        </Button>
      }
    >
      A session is one conversation with your workflows: every event of it, in one order, kept. It begins with its first
      run.
    </EmptyState>
  );
}
