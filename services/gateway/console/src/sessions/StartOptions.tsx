import type { OnBusy } from "@holdfast/client";
import { type ReactNode, useState } from "react";
import { Icon } from "../ui/Icon.tsx";
import type { Row } from "./filter.ts";
import { NEW_SESSION, type RunPlan } from "./start.ts";

export { NEW_SESSION, type RunPlan } from "./start.ts";

interface StartOptionsProps {
  readonly id: string;
  readonly plan: RunPlan;
  readonly known: readonly Row[];
  readonly disabled: boolean;
  onPlan(plan: RunPlan): void;
}

const WHEN_BUSY: readonly (readonly [OnBusy, string])[] = [
  ["enqueue", "Wait for it to end"],
  ["interrupt", "Cancel it and begin"],
  ["reject", "Don't begin"],
];

// A list that a browser shows under a field; more is no help.
const OFFERED_MAX = 50;

/** Where and when the run begins: a new session and at once, unless said otherwise. */
export function StartOptions({ id, plan, known, disabled, onPlan }: StartOptionsProps) {
  const changed = plan !== NEW_SESSION && JSON.stringify(plan) !== JSON.stringify(NEW_SESSION);
  const [open, setOpen] = useState(changed);
  const set = (part: Partial<RunPlan>) => onPlan({ ...plan, ...part });
  return (
    <details className="start-options" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Icon name="chevronRight" size={14} /> Session, schedule and more
      </summary>
      <fieldset className="schema-fields" disabled={disabled}>
        <div className="start-where" role="radiogroup" aria-label="Session">
          {(["new", "existing"] as const).map((one) => (
            <label key={one} className="start-choice">
              <input
                type="radio"
                name={`${id}-session`}
                checked={plan.session === one}
                onChange={() => set({ session: one })}
              />
              {one === "new" ? "New session" : "Existing session"}
            </label>
          ))}
        </div>
        {plan.session === "new" ? (
          <Field
            id={`${id}-new`}
            label="Id"
            help="Letters, digits, dots, dashes and underscores. Without one, one is made."
          >
            <input
              id={`${id}-new`}
              className="field-input mono"
              autoComplete="off"
              spellCheck={false}
              maxLength={128}
              value={plan.newId}
              onChange={(event) => set({ newId: event.target.value })}
            />
          </Field>
        ) : (
          <>
            <Field id={`${id}-existing`} label="Session">
              <input
                id={`${id}-existing`}
                className="field-input mono"
                autoComplete="off"
                spellCheck={false}
                list={`${id}-known`}
                placeholder="its id"
                value={plan.existingId}
                onChange={(event) => set({ existingId: event.target.value })}
              />
              <datalist id={`${id}-known`}>
                {known
                  .filter(({ session }) => session.status === "active")
                  .slice(0, OFFERED_MAX)
                  .map(({ session, latest }) => (
                    <option key={session.session_id} value={session.session_id}>
                      {latest ? `${latest.workflow}, ${latest.status}` : ""}
                    </option>
                  ))}
              </datalist>
            </Field>
            <Field id={`${id}-busy`} label="While another run of it is under way">
              <select
                id={`${id}-busy`}
                className="field-input"
                value={plan.onBusy}
                onChange={(event) => set({ onBusy: event.target.value as OnBusy })}
              >
                {WHEN_BUSY.map(([value, words]) => (
                  <option key={value} value={value}>
                    {words}
                  </option>
                ))}
              </select>
            </Field>
          </>
        )}
        <Field id={`${id}-at`} label="Not before" help="In your time zone. Empty: at once.">
          <input
            id={`${id}-at`}
            type="datetime-local"
            className="field-input start-when"
            value={plan.startAt}
            onChange={(event) => set({ startAt: event.target.value })}
          />
        </Field>
        <Field id={`${id}-user`} label="On whose behalf" help="Shown in the run's events.">
          <input
            id={`${id}-user`}
            className="field-input"
            autoComplete="off"
            maxLength={200}
            value={plan.userId}
            onChange={(event) => set({ userId: event.target.value })}
          />
        </Field>
      </fieldset>
    </details>
  );
}

interface FieldProps {
  readonly id: string;
  readonly label: string;
  readonly help?: string;
  readonly children: ReactNode;
}

function Field({ id, label, help, children }: FieldProps) {
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      {children}
      {help !== undefined && <p className="field-help">{help}</p>}
    </div>
  );
}
