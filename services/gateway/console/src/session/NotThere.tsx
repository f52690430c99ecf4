import { Link } from "../app/Link.tsx";
import { sessionsPath } from "../app/router.ts";
import { Button } from "../ui/Button.tsx";
import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";
import type { LiveSession } from "./useLive.ts";

interface NotThereProps {
  readonly live: Pick<LiveSession, "sessionId" | "state" | "status" | "error" | "reload">;
}

/** What stands in the page's place while there is nothing to show. */
export function NotThere({ live }: NotThereProps) {
  const { error: problem, reload } = live;
  const erased = problem?.code === "session-gone" || live.state.session.status === "erased";
  const back = (
    <Link to={sessionsPath()} className="button button-default button-md">
      All sessions
    </Link>
  );
  if (erased) {
    return (
      <EmptyState icon={<Icon name="trash" size={24} />} title="This session was erased" action={back}>
        Its events are gone for good.
      </EmptyState>
    );
  }
  if (problem?.status === 404) {
    return (
      <EmptyState icon={<Icon name="search" size={24} />} title="No such session" action={back}>
        <span className="mono">
          <Text>{live.sessionId}</Text>
        </span>
      </EmptyState>
    );
  }
  if (problem !== null) {
    // What was refused for good is asked for again only by hand.
    const again = live.status.state === "waiting";
    return (
      <EmptyState
        icon={<Icon name="alert" size={24} />}
        title={again ? "The session can't be read right now" : "The session can't be read"}
        action={<Button onClick={reload}>Try now</Button>}
      >
        <Text>{problem.message}</Text>
        {again && <p>It is tried again every few seconds. Runs go on meanwhile.</p>}
      </EmptyState>
    );
  }
  return <Loading />;
}

/** Shapes of what comes. Only after a moment: most sessions are there before it. */
function Loading() {
  return (
    <div className="sp-loading" role="status" aria-label="Loading the session">
      <div className="sp-skeleton" />
      <div className="sp-skeleton" />
      <div className="sp-skeleton" />
    </div>
  );
}
