import { memo } from "react";
import { StatusDot, toneOf } from "../../ui/Badge.tsx";
import { classes } from "../../ui/classes.ts";
import { formatDuration, plural } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { visible } from "../../ui/visible.ts";
import { Bar, Turns } from "./Bars.tsx";
import { boxesOf, type Projection, pixelOf } from "./boxes.ts";
import type { Band, Group, Row } from "./layout.ts";
import { isOpen } from "./spans.ts";

/** What a flag needs at most; nearer to the left edge it goes to the right of its line. */
const FLAG_PX = 260;

interface RowProps {
  readonly row: Row;
  readonly index: number;
  readonly projection: Projection;
  readonly activeId: string | null;
  readonly selectedId: string | null;
  readonly labels: number;
  onFold(runId: string): void;
  onRun(runId: string): void;
  onAgent(row: Row): void;
}

/** One row of the picture, name and bars. */
export const RowView = memo(function RowView(props: RowProps) {
  const { row, projection, labels } = props;
  const place = { transform: `translateY(${row.top}px)`, height: row.height };
  const chart = { left: labels, width: projection.width };
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the cells are what takes the focus
    <div role="row" aria-rowindex={props.index + 1} className={`tl-row tl-row-${row.kind}`} style={place}>
      {row.kind === "run" ? <RunLabel {...props} /> : <LaneLabel {...props} />}
      <div className="tl-chart" style={chart} role="presentation">
        {row.kind === "run" ? <RunBar group={row.group} projection={projection} /> : <Content {...props} />}
      </div>
    </div>
  );
});

function Content({ row, projection, activeId, selectedId }: RowProps) {
  const colour = row.lane?.colour ?? 0;
  return (
    <>
      {row.lane && row.kind !== "label" && (
        <Turns turns={row.lane.turns} projection={projection} colour={colour} end={false} />
      )}
      {boxesOf(row.spans, projection, activeId ?? selectedId).map((box) => (
        <Bar
          key={box.span.id}
          box={box}
          projection={projection}
          colour={colour}
          active={box.span.id === activeId}
          selected={box.span.id === selectedId}
        />
      ))}
    </>
  );
}

function RunLabel({ row, projection, labels, onFold, onRun }: RowProps) {
  const { group } = row;
  const { run } = group;
  const end = group.end ?? projection.now;
  const indent = group.depth * 14;
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: its buttons are what takes the focus
    <div
      role="rowheader"
      className="tl-head"
      style={labels > 0 ? { width: labels, paddingLeft: 8 + indent } : undefined}
    >
      <button
        type="button"
        className="tl-fold"
        aria-expanded={!group.folded}
        aria-label={`${group.folded ? "Show" : "Hide"} what ${visible(run.workflow ?? "the run")} did`}
        onClick={() => onFold(group.runId)}
      >
        <Icon name={group.folded ? "chevronRight" : "chevronDown"} size={14} />
      </button>
      <button type="button" className="tl-title" onClick={() => onRun(group.runId)} title={plural(group.size, "span")}>
        <StatusDot tone={toneOf(run.status)} pulse={run.status === "running"} />
        <span className="tl-workflow">{visible(run.workflow ?? "queued run")}</span>
        <span className="visually-hidden">, {run.status}</span>
      </button>
      <span className="tl-took">
        {isOpen(run.status) && run.status !== "running"
          ? run.status
          : formatDuration(end - (group.begun ?? group.start))}
      </span>
    </div>
  );
}

function LaneLabel({ row, labels, onAgent }: RowProps) {
  const { lane, group } = row;
  if (lane === null) return null;
  const label = visible(lane.label);
  if (!row.first) {
    return (
      // biome-ignore lint/a11y/useFocusableInteractive: nothing to do there
      <span role="rowheader" className="visually-hidden">
        {label}
      </span>
    );
  }
  const style = labels > 0 ? { width: labels, paddingLeft: 26 + group.depth * 14 } : undefined;
  const said = (
    <>
      <span className="tl-who">{label}</span>
      {lane.branch !== null && <span className="tl-branch">{visible(lane.branch)}</span>}
    </>
  );
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: its button is what takes the focus
    <div role="rowheader" className="tl-head" style={style}>
      <span className={`tl-swatch tl-lane-${lane.colour + 1}`} aria-hidden="true" />
      {lane.turns.length > 0 ? (
        <button type="button" className="tl-title" onClick={() => onAgent(row)} title={label}>
          {said}
        </button>
      ) : (
        <span className="tl-title tl-plain" title={label}>
          {said}
        </span>
      )}
    </div>
  );
}

/** A run as a whole: when it waited for its turn, its stages, and its end. */
function RunBar({ group, projection }: { readonly group: Group; readonly projection: Projection }) {
  const { run } = group;
  const clip = (time: number) => Math.min(Math.max(pixelOf(time, projection), -4), projection.width + 4);
  const [start, end] = [clip(group.begun ?? group.start), clip(group.end ?? Math.max(projection.now, group.start))];
  const queued = clip(group.start);
  return (
    <>
      {start - queued > 3 && (
        <span className="tl-queued" style={{ left: queued, width: start - queued }} title="waited for its turn" />
      )}
      <span
        className={classes("tl-run", `tl-is-${run.status}`)}
        style={{ left: start, width: Math.max(end - start, 3) }}
        title={run.error ? visible(run.error.message) : undefined}
      />
      {group.stages.map((stage) => (
        <StageName key={stage.start} stage={stage} projection={projection} />
      ))}
      {group.attempts
        .filter(({ reason }) => reason === "takeover" || reason === "retry")
        .map((attempt) => (
          <Flag key={attempt.seq} group={group} attempt={attempt} projection={projection} />
        ))}
    </>
  );
}

interface FlagProps {
  readonly group: Group;
  readonly attempt: Group["attempts"][number];
  readonly projection: Projection;
}

/** Where another attempt went on; how long nobody did before it, on whichever side there is room to say so. */
function Flag({ group, attempt, projection }: FlagProps) {
  const { at, reason } = attempt;
  const x = pixelOf(at, projection);
  if (x < -4 || x > projection.width) return null;
  const lost = reason === "takeover" && group.interruptions.find((band) => band.kind === "lost" && band.end === at);
  const right = x < FLAG_PX;
  const room = right ? projection.width - x : x;
  return (
    <span className={classes("tl-flag", right && "tl-flag-right")} style={{ left: x }}>
      <Icon name="refresh" size={11} /> attempt {attempt.attempt}
      {lost && room > FLAG_PX && ` · ${formatDuration(at - lost.start)} without a worker`}
    </span>
  );
}

function StageName({ stage, projection }: { readonly stage: Band; readonly projection: Projection }) {
  const from = Math.max(pixelOf(stage.start, projection), 0);
  const to = Math.min(pixelOf(stage.end ?? projection.now, projection), projection.width);
  if (to - from < 18) return null;
  return (
    <span
      className={classes("tl-stage", stage.end === null && "tl-stage-now")}
      style={{ left: from, width: to - from }}
    >
      {visible(stage.name)}
    </span>
  );
}

/** What lies behind a run's rows: the edges of its stages, the time without a worker, where another took over. */
export function GroupGround({
  group,
  top,
  height,
  projection,
  labels,
}: {
  readonly group: Group;
  readonly top: number;
  readonly height: number;
  readonly projection: Projection;
  readonly labels: number;
}) {
  const inside = (x: number) => Math.min(Math.max(x, 0), projection.width);
  return (
    <div
      className="tl-ground"
      style={{ transform: `translateY(${top}px)`, height, left: labels, width: projection.width }}
      aria-hidden="true"
    >
      {group.stages.map((stage, at) => {
        const from = inside(pixelOf(stage.start, projection));
        const to = inside(pixelOf(stage.end ?? projection.now, projection));
        if (to <= from) return null;
        return (
          <span key={stage.start} className={`tl-band tl-band-${at % 2}`} style={{ left: from, width: to - from }} />
        );
      })}
      {group.interruptions.map((band) => {
        const from = inside(pixelOf(band.start, projection));
        const to = inside(pixelOf(band.end ?? projection.now, projection));
        if (to - from < 1) return null;
        return (
          <span
            key={band.start}
            className={`tl-interruption tl-${band.kind}`}
            style={{ left: from, width: to - from }}
          />
        );
      })}
      {group.attempts.map((attempt) => {
        const x = pixelOf(attempt.at, projection);
        if (x < 0 || x > projection.width) return null;
        return <span key={attempt.seq} className={`tl-resume tl-resume-${attempt.reason}`} style={{ left: x }} />;
      })}
    </div>
  );
}
