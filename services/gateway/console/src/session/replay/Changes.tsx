import { useMemo, useState } from "react";
import { classes } from "../../ui/classes.ts";
import { visible } from "../../ui/visible.ts";
import type { Replay } from "./controller.ts";
import { type Change, changesOf, type FieldChange } from "./diff.ts";
import { familyOf } from "./survey.ts";

/** An event changes a handful of entries; the end of a run closes all that was open. */
const CHANGES_MAX = 30;
const VALUE_CHARS_MAX = 160;

const TABLE_NAMES: Readonly<Record<string, string>> = {
  runs: "run",
  messages: "message",
  reasoning: "thought",
  steps: "step",
  agents: "agent",
  llm_calls: "model call",
  tools: "tool call",
  plans: "plan",
  tasks: "task",
  components: "component",
  pending_inputs: "question",
  artifacts: "artifact",
  notifications: "notice",
  shared: "shared state",
};

const SIGNS = { added: "+", changed: "~", removed: "−" } as const;

/** The event that the replay is at, and what it changed in the state. */
export function Changes({ replay }: { readonly replay: Replay }) {
  // On a phone the place is needed for what is replayed.
  const [open, setOpen] = useState(() => matchMedia("(min-width: 721px)").matches);
  const { event, before, after } = replay;
  const changes = useMemo(() => (before && after ? changesOf(before, after) : []), [before, after]);
  if (replay.seq === null) return null;
  const who = event ? [event.agent, event.lane].filter(Boolean).join(" · ") : "";
  return (
    <div className="replay-event">
      <button type="button" className="replay-event-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span
          className={classes("replay-swatch", event && `replay-family-${familyOf(event.type)}`)}
          aria-hidden="true"
        />
        <code>{event ? event.type : "compacted"}</code>
        {who !== "" && <span className="replay-muted">{visible(who)}</span>}
        <span className="replay-count">
          {changes.length === 0
            ? "changes nothing in the state"
            : `${changes.length} ${changes.length === 1 ? "change" : "changes"}`}
        </span>
      </button>
      {open && changes.length > 0 && (
        <ul className="replay-changes">
          {changes.slice(0, CHANGES_MAX).map((change) => (
            <ChangeLine key={change.id} change={change} />
          ))}
          {changes.length > CHANGES_MAX && <li className="replay-muted">and {changes.length - CHANGES_MAX} more</li>}
        </ul>
      )}
    </div>
  );
}

function ChangeLine({ change }: { readonly change: Change }) {
  return (
    <li className={`replay-change replay-${change.kind}`}>
      <span className="replay-sign" role="img" aria-label={change.kind}>
        {SIGNS[change.kind]}
      </span>
      <span className="replay-what">
        {TABLE_NAMES[change.table] ?? change.table}
        {change.entry !== null && <strong> {visible(clip(change.entry.replace(/\s+/g, " "), 60))}</strong>}
      </span>
      <span className="replay-fields">
        {change.fields.map((field) => (
          <Field key={field.field} field={field} added={change.kind === "added"} />
        ))}
      </span>
    </li>
  );
}

function Field({ field, added }: { readonly field: FieldChange; readonly added: boolean }) {
  return (
    <span className="replay-field">
      <span className="replay-muted">{visible(field.field)}</span>{" "}
      {field.appended !== null ? (
        <ins>…{shown(field.appended)}</ins>
      ) : (
        <>
          {!added && field.before !== null && field.before !== undefined && <del>{shown(field.before)}</del>}
          <ins>{shown(field.after)}</ins>
        </>
      )}
    </span>
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return visible(clip(text.replace(/\n/g, "⏎"), VALUE_CHARS_MAX));
}

function clip(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
