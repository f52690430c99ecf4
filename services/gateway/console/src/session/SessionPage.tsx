import { latestRun } from "@holdfast/client/views";
import { useCallback, useEffect, useState } from "react";
import { useAnnounce } from "../app/announcer.tsx";
import { useClient } from "../app/client.ts";
import { Link } from "../app/Link.tsx";
import { sessionsPath, useFragmentParam } from "../app/router.ts";
import { Trail } from "../app/Trail.tsx";
import { useTitle } from "../app/title.ts";
import { Button } from "../ui/Button.tsx";
import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";
import type { Selection, SessionView } from "./contract.ts";
import { shortId } from "./conversation/words.ts";
import { Panes, usePane } from "./Panes.tsx";
import { useReplayed } from "./replayed.ts";
import { type DialogName, SessionDialogs } from "./SessionDialogs.tsx";
import { SessionHeader } from "./SessionHeader.tsx";
import { type LiveSession, useLive } from "./useLive.ts";
import "./SessionPage.css";

/** One session: what is said in it, what happens when, every event, and the proof that none is missing. */
export function SessionPage({ sessionId }: { readonly sessionId: string }) {
  const client = useClient();
  const live = useLive(client, sessionId);
  useTitle(shortId(sessionId));
  return (
    <div className="sp">
      <Trail>
        <Link to={sessionsPath()}>Sessions</Link>
        <span aria-hidden="true">/</span>
        <span className="mono">
          <Text clip>{shortId(sessionId)}</Text>
        </span>
      </Trail>
      {live.loaded && live.state.session.status !== "erased" ? <Loaded live={live} /> : <NotThere live={live} />}
    </div>
  );
}

function Loaded({ live }: { readonly live: LiveSession }) {
  const { client, sessionId } = live;
  const [seqParam, setSeqParam] = useFragmentParam("seq");
  const at = seqOf(seqParam);
  const replayed = useReplayed(live, at);
  const [selection, setSelection] = useState<Selection | null>(null);
  const [dialog, setDialog] = useState<DialogName | null>(null);
  const [workflow, setWorkflow] = useState<string | null>(null);
  const [pane, setPane] = usePane();

  const onAt = useCallback(
    (seq: number | null) => setSeqParam(seq === null ? null : String(seq), { replace: true }),
    [setSeqParam],
  );
  const view: SessionView = {
    client,
    sessionId,
    head: live.head,
    minSeq: live.minSeq,
    ...replayed.shown,
  };
  const latest = latestRun(view.state);
  useSaid(live);

  return (
    <>
      <SessionHeader
        sessionId={sessionId}
        state={view.state}
        seq={view.seq}
        latest={latest}
        proof={live}
        live={view.live}
        onStart={() => {
          setWorkflow(latest?.workflow ?? null);
          setDialog("start");
        }}
        onCancel={() => setDialog("cancel")}
        onErase={() => setDialog("erase")}
        onConnection={() => setPane("proof")}
      />
      <Panes
        view={view}
        live={live}
        pane={pane}
        onPane={setPane}
        at={at}
        latest={latest}
        selection={selection}
        onSelect={setSelection}
        onAt={onAt}
        onState={replayed.onState}
        onStart={(name) => {
          setWorkflow(name);
          setDialog("start");
        }}
        onCancel={() => setDialog("cancel")}
      />
      <SessionDialogs
        name={dialog}
        client={client}
        sessionId={sessionId}
        latest={latest}
        workflow={workflow}
        onClose={() => setDialog(null)}
      />
    </>
  );
}

function seqOf(param: string | null): number | null {
  return param !== null && /^[1-9]\d{0,15}$/.test(param) ? Number(param) : null;
}

/** Tell screen readers of what matters while it happens: runs, questions, messages once they are whole. */
function useSaid({ onEvents }: LiveSession): void {
  const announce = useAnnounce();
  useEffect(
    () =>
      onEvents((events) => {
        for (const event of events) {
          if (event.type === "message.completed") announce(`${event.agent ?? event.data.role}: ${event.data.content}`);
          else if (event.type === "input.requested") announce(`A question: ${event.data.prompt}`);
          else if (event.type === "run.completed") announce("The run completed");
          else if (event.type === "run.failed") announce(`The run failed: ${event.data.error.message}`);
          else if (event.type === "run.cancelled") announce("The run was cancelled");
        }
      }),
    [onEvents, announce],
  );
}

/** What stands in the page's place while there is nothing to show. */
function NotThere({ live }: { readonly live: LiveSession }) {
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
    return (
      <EmptyState
        icon={<Icon name="alert" size={24} />}
        title="The session can't be read right now"
        action={<Button onClick={reload}>Try now</Button>}
      >
        <Text>{problem.message}</Text>
        <p>It is tried again every few seconds. Runs go on meanwhile.</p>
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
