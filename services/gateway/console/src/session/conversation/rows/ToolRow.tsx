import type { ToolCall } from "@holdfast/client/fold";
import { memo, useId, useState } from "react";
import { StatusBadge } from "../../../ui/Badge.tsx";
import { formatDuration } from "../../../ui/format.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { summary } from "../summary.ts";
import { Value } from "../Value.tsx";
import { Frame, Lane } from "./Frame.tsx";
import { Problem } from "./Problem.tsx";
import { Progress } from "./Progress.tsx";
import "./cards.css";

/** A tool call: one line that opens to what went in and what came out. */
export const ToolRow = memo(function ToolRow({ call }: { readonly call: ToolCall }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const running = call.status === "running";
  return (
    <Frame
      mark={{ icon: "tool" }}
      ts={call.ts}
      label={`Tool ${call.name}, ${call.status}`}
      className="row-card"
      tone={call.status}
      head={
        <>
          <button
            type="button"
            className="row-toggle tool-toggle"
            aria-expanded={isOpen}
            aria-controls={id}
            onClick={() => setOpen(!isOpen)}
          >
            <span className="tool-name mono">
              <Text clip>{call.name}</Text>
            </span>
            <span className="tool-args mono">
              <Text clip>{summary(call.args)}</Text>
            </span>
            <Icon name={isOpen ? "chevronDown" : "chevronRight"} size={12} />
          </button>
          {call.agent !== null && <span className="row-faint row-optional">{<Text clip>{call.agent}</Text>}</span>}
          <Lane lane={call.lane} />
          {call.duration_ms !== null && <span className="row-faint">{formatDuration(call.duration_ms)}</span>}
          {call.status !== "completed" && <StatusBadge status={call.status} />}
        </>
      }
    >
      {running && call.progress !== null && (
        <Progress fraction={call.progress.fraction} label={call.progress.text} name={`Progress of ${call.name}`} />
      )}
      {call.error !== null && <Problem error={call.error} />}
      <div id={id} hidden={!isOpen}>
        {isOpen && (
          <dl className="tool-details">
            <dt>Arguments</dt>
            <dd>
              {call.args === null ? <span className="row-faint">none</span> : <Value value={call.args} depth={2} />}
            </dd>
            {call.status === "completed" && (
              <>
                <dt>Result</dt>
                <dd>
                  {call.result === null ? (
                    <span className="row-faint">nothing</span>
                  ) : (
                    <Value value={call.result} contentType={call.content_type} depth={2} />
                  )}
                </dd>
              </>
            )}
          </dl>
        )}
      </div>
      {!isOpen && call.status === "completed" && call.result !== null && (
        <div className="tool-result mono">
          <span aria-hidden="true">→ </span>
          <Text clip>{summary(call.result)}</Text>
        </div>
      )}
    </Frame>
  );
});
