import { useState } from "react";
import { useClient } from "../app/client.ts";
import { Button } from "../ui/Button.tsx";
import { Dialog } from "../ui/Dialog.tsx";
import { ProblemLine } from "../ui/SchemaForm.tsx";
import { Text } from "../ui/Text.tsx";
import { useToast } from "../ui/Toast.tsx";
import { sentence } from "./list.ts";

interface EraseDialogProps {
  readonly sessionId: string;
  readonly onClose: () => void;
  /** The erasure was asked for. */
  readonly onErased: () => void;
}

/** Asks before a session's events go for good. */
export function EraseDialog({ sessionId, onClose, onErased }: EraseDialogProps) {
  const client = useClient();
  const toast = useToast();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const erase = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await client.eraseSession(sessionId, reason.trim() || undefined);
      toast({ tone: "success", title: "The session is being erased", detail: sessionId });
      onErased();
      onClose();
    } catch (error) {
      setProblem(sentence(error));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title="Erase this session?"
      size="sm"
      onClose={onClose}
      onSubmit={erase}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button type="submit" tone="danger" busy={busy}>
            Erase for good
          </Button>
        </>
      }
    >
      <div className="schema-fields">
        <p>
          All events of{" "}
          <strong>
            <Text mono>{sessionId}</Text>
          </strong>{" "}
          go for good, and a run that is under way is cancelled. Only a mark stays that it was there. This can't be
          undone.
        </p>
        <div className="field">
          <label className="field-label" htmlFor="erase-reason">
            Reason
          </label>
          <input
            id="erase-reason"
            className="field-input"
            maxLength={500}
            placeholder="optional, recorded"
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </div>
      </div>
      <ProblemLine problem={problem} />
    </Dialog>
  );
}
