import type { WorkflowView } from "@holdfast/client";
import { useEffect, useId, useState } from "react";
import { useClient } from "../app/client.ts";
import { navigate, sessionPath } from "../app/router.ts";
import { Button } from "../ui/Button.tsx";
import { Dialog } from "../ui/Dialog.tsx";
import { EmptyState } from "../ui/EmptyState.tsx";
import { Icon } from "../ui/Icon.tsx";
import { ProblemLine, refusal, SchemaFields, useSchemaForm } from "../ui/SchemaForm.tsx";
import type { Row } from "./filter.ts";
import { sentence } from "./list.ts";
import { NEW_SESSION, type RunPlan, StartOptions } from "./StartOptions.tsx";
import { startRun } from "./start.ts";
import { WorkflowPicker } from "./WorkflowPicker.tsx";
import { useWorkflows } from "./workflows.ts";
import "./StartRunDialog.css";

interface StartRunDialogProps {
  /** The sessions that are known, for those who want one of them. */
  readonly known: readonly Row[];
  readonly onClose: () => void;
}

/** Starts a run: a form made of the workflow's schema, in a new session or one that exists. */
export function StartRunDialog({ known, onClose }: StartRunDialogProps) {
  const { items, problem } = useWorkflows();
  const [chosen, setChosen] = useState<string | null>(null);
  const [plan, setPlan] = useState<RunPlan>(NEW_SESSION);
  const workflow = items?.find((item) => item.name === chosen) ?? items?.find(canRun) ?? items?.[0] ?? null;

  // What was shown first stays chosen, whatever workflow appears before it.
  useEffect(() => {
    if (chosen === null && workflow !== null) setChosen(workflow.name);
  }, [chosen, workflow]);

  if (items === null || workflow === null) {
    return (
      <Dialog title="Start a run" onClose={onClose}>
        {items === null ? (
          <p role="status">{problem ?? "Asking for the workflows…"}</p>
        ) : (
          <EmptyState icon={<Icon name="info" size={24} />} title="There are no workflows">
            No worker has announced one yet. A worker that starts does so within a second, and this page will show it.
          </EmptyState>
        )}
      </Dialog>
    );
  }
  return (
    <StartForm
      // Another workflow has another form; what was chosen beside it stays.
      key={`${workflow.name} ${workflow.version}`}
      items={items}
      workflow={workflow}
      known={known}
      plan={plan}
      onPlan={setPlan}
      onChoose={setChosen}
      onClose={onClose}
    />
  );
}

interface StartFormProps extends StartRunDialogProps {
  readonly items: readonly WorkflowView[];
  readonly workflow: WorkflowView;
  readonly plan: RunPlan;
  onPlan(plan: RunPlan): void;
  onChoose(name: string): void;
}

function StartForm({ items, workflow, known, plan, onPlan, onChoose, onClose }: StartFormProps) {
  const client = useClient();
  const id = useId();
  const form = useSchemaForm(workflow.input_schema);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const start = async () => {
    const checked = form.check();
    if (!checked.ok || busy || !canRun(workflow)) return;
    setBusy(true);
    setProblem(null);
    try {
      const sessionId = await startRun(client, workflow.name, checked.value, plan, onPlan);
      onClose();
      navigate(sessionPath(sessionId));
    } catch (error) {
      setBusy(false);
      const left = refusal(error, form.refuse, "/input");
      setProblem(left === null ? null : sentence(left === (error as Error).message ? error : new Error(left)));
    }
  };

  return (
    <Dialog
      title="Start a run"
      onClose={onClose}
      onSubmit={start}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" tone="primary" busy={busy} disabled={!canRun(workflow)}>
            {plan.startAt === "" ? "Start" : "Schedule"}
          </Button>
        </>
      }
    >
      <div className="start-run">
        <WorkflowPicker id={`${id}-workflow`} items={items} chosen={workflow} onChoose={onChoose} />
        {workflow.load_error === null && (
          <>
            <hr className="start-run-rule" />
            <SchemaFields form={form} label="Input" disabled={busy} />
            <StartOptions id={id} plan={plan} known={known} disabled={busy} onPlan={onPlan} />
          </>
        )}
        <ProblemLine problem={problem} />
      </div>
    </Dialog>
  );
}

function canRun(workflow: WorkflowView): boolean {
  return workflow.load_error === null;
}
