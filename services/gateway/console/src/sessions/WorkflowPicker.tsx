import type { WorkflowView } from "@holdfast/client";
import { StatusDot } from "../ui/Badge.tsx";
import { plural } from "../ui/format.ts";
import { Icon } from "../ui/Icon.tsx";
import { Text } from "../ui/Text.tsx";
import { visible } from "../ui/visible.ts";

interface WorkflowPickerProps {
  readonly id: string;
  readonly items: readonly WorkflowView[];
  readonly chosen: WorkflowView;
  onChoose(name: string): void;
}

/** Which workflow, what it does, and whether anybody is there to run it. */
export function WorkflowPicker({ id, items, chosen, onChoose }: WorkflowPickerProps) {
  const workers = chosen.workers.length;
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>
        Workflow
      </label>
      <select
        id={id}
        className="field-input"
        value={chosen.name}
        aria-describedby={`${id}-about`}
        onChange={(event) => onChoose(event.target.value)}
      >
        {items.map((item) => (
          <option key={item.name} value={item.name}>
            {visible(item.name)}
            {item.load_error !== null ? " (broken)" : item.workers.length === 0 ? " (no worker)" : ""}
          </option>
        ))}
      </select>
      <div id={`${id}-about`} className="workflow-about">
        {chosen.description !== null && (
          <p>
            <Text>{chosen.description}</Text>
          </p>
        )}
        <p className="workflow-facts">
          <StatusDot tone={chosen.load_error !== null ? "failed" : workers > 0 ? "completed" : "waiting"} />
          {workers > 0 ? plural(workers, "live worker") : "no live worker"}
          <span aria-hidden="true">·</span>
          <span>
            version{" "}
            <Text mono clip className="workflow-version">
              {chosen.version}
            </Text>
          </span>
        </p>
      </div>
      {chosen.load_error !== null ? (
        <div className="notice notice-failed" role="alert">
          <Icon name="alert" />
          <div>
            <strong>It can't run: loading it failed.</strong>
            <Text pre mono limit={600} className="workflow-error">
              {chosen.load_error}
            </Text>
          </div>
        </div>
      ) : (
        workers === 0 && (
          <div className="notice notice-waiting" role="status">
            <Icon name="clock" />
            <div>No live worker has it at the moment. The run is kept, and begins when one comes.</div>
          </div>
        )
      )}
    </div>
  );
}
