import { latestRun } from "@holdfast/client/views";
import { useCallback, useState } from "react";
import { useClient } from "../app/client.ts";
import { Link } from "../app/Link.tsx";
import { sessionsPath, useFragmentParam } from "../app/router.ts";
import { Trail } from "../app/Trail.tsx";
import { useTitle } from "../app/title.ts";
import { Text } from "../ui/Text.tsx";
import type { Selection, SessionView } from "./contract.ts";
import { shortId } from "./conversation/words.ts";
import { NotThere } from "./NotThere.tsx";
import { Panes, usePane } from "./Panes.tsx";
import { useReplayed } from "./replayed.ts";
import { type DialogName, SessionDialogs } from "./SessionDialogs.tsx";
import { SessionHeader } from "./SessionHeader.tsx";
import { useSaid } from "./said.ts";
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
