import type { ReactNode } from "react";
import { StatusBadge } from "../../../ui/Badge.tsx";
import { formatDuration, plural } from "../../../ui/format.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import type { ItemOf } from "../items.ts";
import { Value } from "../Value.tsx";
import { clock, resumed, shortId } from "../words.ts";
import { Frame, Who } from "./Frame.tsx";
import { Problem } from "./Problem.tsx";
import "./runs.css";

/** A run begins: which workflow, and what it was asked. */
export function RunStartedRow({ item }: { readonly item: ItemOf<"run-started"> }) {
  const { run, input } = item;
  const child = run.parent_run_id !== null;
  return (
    <section className="run-start" aria-label={`Run ${run.workflow ?? ""} began`}>
      <div className="run-line">
        <Icon name={child ? "arrowRight" : "play"} size={12} />
        <strong>
          <Text clip>{run.workflow ?? "run"}</Text>
        </strong>
        {child && <span className="row-faint">started by another run</span>}
        <span className="row-faint mono" title={run.run_id ?? undefined}>
          {shortId(run.run_id ?? "")}
        </span>
        {run.status === "queued" && <StatusBadge status="queued" />}
        <span className="run-rule" />
        <time className="row-time" dateTime={item.ts} title={item.ts}>
          {clock(item.ts)}
        </time>
      </div>
      {input !== undefined && input !== null && (
        <div className="run-input">
          <Value value={only(input)} depth={2} />
        </div>
      )}
    </section>
  );
}

/** An input of one text is that text. */
function only(input: unknown): unknown {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
  const values: unknown[] = Object.values(input);
  return values.length === 1 && typeof values[0] === "string" ? values[0] : input;
}

/** Another attempt goes on. */
export function RunResumedRow({ item }: { readonly item: ItemOf<"run-resumed"> }) {
  return (
    <Separator icon="refresh" tone="stalled">
      {resumed(item.reason)}, attempt {item.attempt}
    </Separator>
  );
}

/** An attempt failed and another follows. */
export function RunRetryingRow({ item }: { readonly item: ItemOf<"run-retrying"> }) {
  return (
    <Frame
      mark={{ icon: "refresh" }}
      tone="waiting"
      ts={item.ts}
      label="The run failed and is tried again"
      head={<span className="row-who">Trying again in {formatDuration(item.delayMs)}</span>}
    >
      <Problem error={item.error} />
    </Frame>
  );
}

/** A run is over: how, after how long, and what it leaves. */
export function RunEndedRow({ item }: { readonly item: ItemOf<"run-ended"> }) {
  const { run } = item;
  const tokens = run.usage?.total_tokens;
  return (
    <section className={`run-end tone-${run.status}`} aria-label={`Run ${run.workflow ?? ""} ${run.status}`}>
      <div className="run-line">
        <Icon name={ENDS[run.status] ?? "stop"} size={14} />
        <strong>{run.status}</strong>
        {run.duration_ms !== null && <span className="row-faint">after {formatDuration(run.duration_ms)}</span>}
        {tokens !== undefined && <span className="row-faint">{plural(tokens, "token")}</span>}
        <span className="run-rule" />
        <time className="row-time" dateTime={item.ts} title={item.ts}>
          {clock(item.ts)}
        </time>
      </div>
      {run.error !== null && <Problem error={run.error} />}
      {run.reason !== null && (
        <p className="run-reason">
          <Text pre limit={600}>
            {run.reason}
          </Text>
        </p>
      )}
      {run.result !== null && (
        <details className="run-result">
          <summary>Result</summary>
          <Value value={run.result} depth={2} contentType="text/markdown" />
        </details>
      )}
    </section>
  );
}

const ENDS: Readonly<Record<string, "check" | "alert" | "stop">> = {
  completed: "check",
  failed: "alert",
  cancelled: "stop",
};

interface SeparatorProps {
  readonly icon?: "refresh" | "close";
  readonly tone?: string;
  readonly children: ReactNode;
}

/** A line across, with words in it. */
export function Separator({ icon, tone = "queued", children }: SeparatorProps) {
  return (
    <div className={`separator tone-${tone}`}>
      <span className="separator-words">
        {icon !== undefined && <Icon name={icon} size={12} />}
        {children}
      </span>
    </div>
  );
}

/** The run entered another stage. */
export function StageRow({ item }: { readonly item: ItemOf<"stage"> }) {
  return (
    <div className="separator stage">
      <h2 className="separator-words">
        <Text clip>{item.to}</Text>
      </h2>
    </div>
  );
}

/** Somebody answered, or told the run something it didn't ask. */
export function AnswerRow({ item }: { readonly item: ItemOf<"answer"> }) {
  return (
    <Frame
      mark={{ icon: "user" }}
      ts={item.ts}
      className="row-user"
      label="An answer"
      head={
        <>
          <Who name={item.who ?? "Somebody"} />
          <span className="row-faint">{item.prompt === null ? "told the run" : "answered"}</span>
        </>
      }
    >
      {item.prompt !== null && (
        <p className="answer-prompt">
          <Text pre limit={600}>
            {item.prompt}
          </Text>
        </p>
      )}
      <div className="answer-value">
        <Value value={item.value} depth={2} />
      </div>
    </Frame>
  );
}
