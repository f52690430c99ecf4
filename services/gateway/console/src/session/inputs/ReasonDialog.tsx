import { type ReactNode, useId, useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { ProblemLine } from "../../ui/SchemaForm.tsx";

interface ReasonDialogProps {
  readonly title: string;
  /** What will happen, in a sentence or two. */
  readonly children: ReactNode;
  readonly action: string;
  onClose(): void;
  /** Does it; what it throws is shown. */
  onAct(reason: string | undefined): Promise<void>;
}

/** As long as the gateway takes it. */
const REASON_LENGTH_MAX = 500;

/** Asks once more, and why: the reason is recorded. */
export function ReasonDialog({ title, children, action, onClose, onAct }: ReasonDialogProps) {
  const id = useId();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const act = async () => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await onAct(reason.trim() === "" ? undefined : reason.trim());
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={title}
      size="sm"
      onClose={onClose}
      onSubmit={() => void act()}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button tone="danger" type="submit" busy={busy}>
            {action}
          </Button>
        </>
      }
    >
      <div className="start">
        <div>{children}</div>
        <div className="field">
          <label className="field-label" htmlFor={`${id}-reason`}>
            Reason <span className="field-help">(recorded, optional)</span>
          </label>
          <input
            id={`${id}-reason`}
            className="field-input"
            maxLength={REASON_LENGTH_MAX}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </div>
        <ProblemLine problem={problem} />
      </div>
    </Dialog>
  );
}
