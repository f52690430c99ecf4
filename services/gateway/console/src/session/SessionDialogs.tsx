import type { Client } from "@holdfast/client";
import type { Run } from "@holdfast/client/fold";
import { navigate, sessionsPath } from "../app/router.ts";
import { EraseDialog } from "../sessions/EraseDialog.tsx";
import { Text } from "../ui/Text.tsx";
import { useToast } from "../ui/Toast.tsx";
import { ReasonDialog } from "./inputs/ReasonDialog.tsx";
import { StartDialog } from "./inputs/StartDialog.tsx";

export type DialogName = "start" | "cancel" | "erase";

interface SessionDialogsProps {
  readonly name: DialogName | null;
  readonly client: Client;
  readonly sessionId: string;
  readonly latest: Run | null;
  /** The workflow that a new run begins with. */
  readonly workflow: string | null;
  onClose(): void;
}

/** The dialogs of a session's page; one at a time. */
export function SessionDialogs({ name, client, sessionId, latest, workflow, onClose }: SessionDialogsProps) {
  const toast = useToast();
  const going = latest !== null && ["queued", "running", "waiting"].includes(latest.status);
  switch (name) {
    case "start":
      return (
        <StartDialog
          client={client}
          sessionId={sessionId}
          workflow={workflow}
          busy={going}
          onClose={onClose}
          onStarted={() => {
            onClose();
            toast({ tone: "success", title: going ? "The run waits for its turn" : "The run was asked for" });
          }}
        />
      );
    case "cancel":
      if (latest?.run_id == null || !going) return null;
      return (
        <ReasonDialog
          title="Cancel the run?"
          action="Cancel the run"
          onClose={onClose}
          onAct={async (reason) => {
            await client.cancel(latest.run_id as string, reason);
          }}
        >
          <p>
            <strong>
              <Text>{latest.workflow ?? "It"}</Text>
            </strong>{" "}
            stops at its next step, and so do the runs that it started. What it has done so far stays in the log.
          </p>
        </ReasonDialog>
      );
    case "erase":
      return <EraseDialog sessionId={sessionId} onClose={onClose} onErased={() => navigate(sessionsPath())} />;
    default:
      return null;
  }
}
