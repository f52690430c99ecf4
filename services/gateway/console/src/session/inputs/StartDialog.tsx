import type { Accepted, Client, OnBusy } from "@holdfast/client";
import { useId, useState } from "react";
import { WorkflowPicker } from "../../sessions/WorkflowPicker.tsx";
import { useWorkflows } from "../../sessions/workflows.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { SchemaForm } from "../../ui/SchemaForm.tsx";

interface StartDialogProps {
  readonly client: Client;
  readonly sessionId: string;
  /** The workflow that is chosen at first. */
  readonly workflow: string | null;
  /** Another run is under way: then it matters what becomes of this one. */
  readonly busy: boolean;
  onClose(): void;
  onStarted(accepted: Accepted): void;
}

const BUSY: readonly (readonly [OnBusy, string])[] = [
  ["enqueue", "Begin when the run under way has ended"],
  ["interrupt", "Cancel the run under way and begin"],
  ["reject", "Don't begin while another is under way"],
];

/** Everything about the session's next run: the workflow, its input, and what to do while another is under way. */
export function StartDialog({ client, sessionId, workflow, busy, onClose, onStarted }: StartDialogProps) {
  const id = useId();
  const { items, problem } = useWorkflows();
  const [chosen, setChosen] = useState(workflow);
  const [onBusy, setOnBusy] = useState<OnBusy>("enqueue");
  const picked = items?.find((one) => one.name === chosen) ?? items?.[0];

  const start = async (input: unknown) => {
    if (picked === undefined) return;
    onStarted(await client.startRun({ session_id: sessionId, workflow: picked.name, input, on_busy: onBusy }));
  };

  return (
    <Dialog title="Start a run in this session" onClose={onClose}>
      <div className="start">
        {picked === undefined ? (
          <p role="status">
            {problem ?? (items === null ? "Asking for the workflows…" : "No workflow is there to run.")}
          </p>
        ) : (
          <WorkflowPicker id={`${id}-workflow`} items={items ?? []} chosen={picked} onChoose={setChosen} />
        )}
        {busy && (
          <div className="field">
            <label className="field-label" htmlFor={`${id}-busy`}>
              Another run is under way
            </label>
            <select
              id={`${id}-busy`}
              className="field-input"
              value={onBusy}
              onChange={(event) => setOnBusy(event.target.value as OnBusy)}
            >
              {BUSY.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </div>
        )}
        {picked?.load_error === null && (
          <SchemaForm
            key={picked.name}
            schema={picked.input_schema}
            pointer="/input"
            submitLabel="Start"
            onSubmit={start}
            actions={
              <Button tone="quiet" onClick={onClose}>
                Close
              </Button>
            }
          />
        )}
      </div>
    </Dialog>
  );
}
