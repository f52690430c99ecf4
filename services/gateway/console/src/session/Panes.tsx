import type { Run, State } from "@holdfast/client/fold";
import { type ReactNode, useState } from "react";
import { useShortcut } from "../app/shortcuts.ts";
import { type Tab, Tabs } from "../ui/Tabs.tsx";
import type { Selection, SessionView } from "./contract.ts";
import { Conversation } from "./conversation/Conversation.tsx";
import { Composer } from "./inputs/Composer.tsx";
import { InputDock } from "./inputs/InputDock.tsx";
import { Inspector } from "./inspector/Inspector.tsx";
import { ProofPanel } from "./proof/ProofPanel.tsx";
import { StateCheck } from "./proof/StateCheck.tsx";
import { ReplayBar } from "./replay/ReplayBar.tsx";
import { Timeline } from "./timeline/Timeline.tsx";
import type { LiveSession } from "./useLive.ts";
import { useWide } from "./useNarrow.ts";

export type PaneName = "conversation" | "timeline" | "events" | "proof";

/** Which part is shown; at first what is the most to look at in the room there is. */
export function usePane() {
  const wide = useWide();
  return useState<PaneName>(wide ? "timeline" : "conversation");
}

interface PanesProps {
  readonly view: SessionView;
  readonly live: LiveSession;
  /** The seq that a replay shows, null while live. */
  readonly at: number | null;
  readonly latest: Run | null;
  readonly selection: Selection | null;
  readonly pane: PaneName;
  onPane(pane: PaneName): void;
  onSelect(selection: Selection | null): void;
  onAt(at: number | null): void;
  onState(state: State, seq: number, ts?: string | null): void;
  onStart(workflow: string | null): void;
  onCancel(): void;
}

/** The parts of the page: side by side where there is room, one at a time where there isn't; the replay below all. */
export function Panes(props: PanesProps) {
  const { view, live, at, latest, selection, onSelect, onAt, pane, onPane } = props;
  const wide = useWide();
  // Beside the conversation there is no tab of that name.
  const shown = wide && pane === "conversation" ? "timeline" : pane;

  useShortcut("c", "Conversation", () => onPane("conversation"), { group: "Session" });
  useShortcut("t", "Timeline", () => onPane("timeline"), { group: "Session" });
  useShortcut("e", "Events", () => onPane("events"), { group: "Session" });
  useShortcut("p", "Proof: connection and counters", () => onPane("proof"), { group: "Session" });
  useShortcut("n", "New run", () => props.onStart(latest?.workflow ?? null), { group: "Session", enabled: view.live });
  useShortcut(".", "Cancel the run", props.onCancel, { group: "Session", enabled: view.live });

  const conversation = (
    <div className="sp-conversation">
      <Conversation {...view} selection={selection} stalled={live.status.state === "stalled"} />
      <InputDock client={view.client} questions={view.state.pending_inputs} live={view.live} />
      {view.live && view.state.session.status === "active" && (
        <Composer client={view.client} sessionId={view.sessionId} latest={latest} onStart={props.onStart} />
      )}
    </div>
  );
  const panes: Readonly<Record<PaneName, () => ReactNode>> = {
    conversation: () => conversation,
    timeline: () => <Timeline {...view} selection={selection} onSelect={onSelect} />,
    events: () => <Inspector {...view} selection={selection} onSelect={onSelect} onAt={onAt} />,
    proof: () => (
      <ProofPanel connection={live.connection} status={live.status} counters={live.counters} onEvents={live.onEvents}>
        <StateCheck client={view.client} sessionId={view.sessionId} state={view.state} />
      </ProofPanel>
    ),
  };
  const tabs: Tab<PaneName>[] = [
    { id: "timeline", label: "Timeline" },
    { id: "events", label: "Events", count: view.head },
    { id: "proof", label: "Proof" },
  ];
  if (!wide) tabs.unshift({ id: "conversation", label: "Conversation" });

  return (
    <>
      <div className="sp-panes">
        {wide && (
          <section className="sp-left" aria-label="Conversation">
            {conversation}
          </section>
        )}
        <Tabs label="Parts of the session" className="sp-tabs" tabs={tabs} selected={shown} onSelect={onPane}>
          {panes[shown]()}
        </Tabs>
      </div>
      <div className="sp-replay">
        <ReplayBar
          client={view.client}
          sessionId={view.sessionId}
          head={view.head}
          minSeq={view.minSeq}
          at={at}
          onAt={onAt}
          onState={props.onState}
        />
      </div>
    </>
  );
}
