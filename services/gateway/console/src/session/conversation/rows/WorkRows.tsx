import type { Artifact, Notice } from "@holdfast/client/fold";
import { memo, useState } from "react";
import { Button } from "../../../ui/Button.tsx";
import { formatBytes, formatDuration, plural } from "../../../ui/format.ts";
import { Icon, type IconName } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { download } from "../../download.ts";
import { safeHref } from "../inline.ts";
import type { ItemOf } from "../items.ts";
import { Frame, Lane, Who } from "./Frame.tsx";
import { Problem } from "./Problem.tsx";
import "./cards.css";
import "./notes.css";

const MARKS: Readonly<Record<string, IconName>> = {
  pending: "more",
  running: "arrowRight",
  completed: "check",
  failed: "alert",
  cancelled: "close",
};

/** What is going to be done, and how far each part of it is. */
export function PlanRow({ item }: { readonly item: ItemOf<"plan"> }) {
  const { plan, tasks } = item;
  const done = tasks.filter((task) => task.status === "completed").length;
  return (
    <Frame
      mark={{ icon: "list" }}
      ts={item.ts}
      label={plan === null ? "Tasks" : "Plan"}
      className="row-card"
      head={
        <>
          <Who name={plan === null ? "Tasks" : (plan.title ?? "Plan")} />
          {plan?.agent && <span className="row-faint">{<Text clip>{plan.agent}</Text>}</span>}
          {tasks.length > 0 && (
            <span className="row-faint">
              {done} of {tasks.length} done
            </span>
          )}
        </>
      }
    >
      {plan?.error && <Problem error={plan.error} />}
      <ul className="plan">
        {tasks.map((task) => (
          <li key={task.task_id} className={`plan-task plan-${task.status}`}>
            <span className={`plan-mark tone-${task.status === "pending" ? "queued" : task.status}`}>
              <Icon name={MARKS[task.status] ?? "more"} size={13} />
            </span>
            <div>
              <span className="plan-title">
                <Text>{task.title ?? task.task_id}</Text>
              </span>
              <span className="visually-hidden">, {task.status}</span>
              {task.duration_ms !== null && <span className="row-faint"> {formatDuration(task.duration_ms)}</span>}
              {task.reason !== null && (
                <p className="row-faint">
                  <Text>{task.reason}</Text>
                </p>
              )}
              {task.error !== null && <Problem error={task.error} />}
            </div>
          </li>
        ))}
      </ul>
    </Frame>
  );
}

/** A short notice. */
export function NoticeRow({ notice }: { readonly notice: Notice }) {
  const tone = { info: "accent", success: "completed", warning: "waiting", error: "failed" }[notice.level] ?? "accent";
  return (
    <div className={`conv-notice tone-${tone}`} role={notice.level === "error" ? "alert" : "note"}>
      <Icon name={notice.level === "success" ? "check" : notice.level === "info" ? "info" : "alert"} size={14} />
      <p>
        {notice.title !== null && (
          <strong>
            <Text>{notice.title}</Text>{" "}
          </strong>
        )}
        <Text pre limit={1_000}>
          {notice.text}
        </Text>
      </p>
    </div>
  );
}

/** Something to keep: saved as a file, never opened in this page. */
export const ArtifactRow = memo(function ArtifactRow({ artifact }: { readonly artifact: Artifact }) {
  const [shown, setShown] = useState(false);
  const { content, uri } = artifact;
  const href = uri === null ? null : safeHref(uri);
  const readable = content !== null && /^(text\/|application\/(json|xml|yaml))/.test(artifact.media_type);
  const size = artifact.size ?? (content === null ? null : new Blob([content]).size);
  return (
    <Frame
      mark={{ icon: "file" }}
      ts={artifact.ts}
      label={`Artifact ${artifact.name}`}
      className="row-card"
      head={
        <>
          <Who name={artifact.name} />
          <span className="row-faint">
            <Text clip>{artifact.media_type}</Text>
          </span>
          {size !== null && <span className="row-faint">{formatBytes(size)}</span>}
          <Lane lane={artifact.lane} />
        </>
      }
    >
      <div className="row-buttons">
        {content !== null && (
          <Button
            size="sm"
            icon={<Icon name="download" size={14} />}
            onClick={() => download(artifact.name, [content])}
          >
            Save
          </Button>
        )}
        {readable && (
          <Button size="sm" tone="quiet" aria-expanded={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide" : "Show"}
          </Button>
        )}
        {href !== null ? (
          <a href={href} title={href} target="_blank" rel="noopener noreferrer">
            <Text>{href}</Text>
          </a>
        ) : (
          uri !== null && <Text mono>{uri}</Text>
        )}
      </div>
      {shown && content !== null && (
        <div className="artifact-content mono">
          <Text pre limit={8_000}>
            {content}
          </Text>
        </div>
      )}
    </Frame>
  );
});

/** A model call or a step that failed: what went well is told by what it made. */
export function FailureRow({ item }: { readonly item: ItemOf<"model"> | ItemOf<"step"> }) {
  const { entry } = item;
  const what = item.kind === "model" ? (item.entry.model ?? "model call") : item.entry.name;
  return (
    <Frame
      mark={{ icon: "alert" }}
      tone="failed"
      ts={item.ts}
      label={`${what} failed`}
      head={
        <>
          <Who name={entry.agent ?? what} />
          <span className="row-faint">
            {entry.agent === null ? "" : <Text clip>{`${what} `}</Text>}
            {entry.status === "retrying" ? "failed and is tried again" : "failed"}
          </span>
          <Lane lane={entry.lane} />
        </>
      }
    >
      {entry.error === null ? <p className="row-faint">No reason was given.</p> : <Problem error={entry.error} />}
    </Frame>
  );
}

/** How much is above of what nobody keeps. */
export function ForgottenRow({ count }: { readonly count: number }) {
  return (
    <p className="forgotten">
      {plural(count, "older entry", "older entries")} of this session are not shown here. They are under Events.
    </p>
  );
}
