import { memo, useMemo, useRef, useState } from "react";
import { EmptyState } from "../../ui/EmptyState.tsx";
import { plural } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import type { TimelineProps } from "../contract.ts";
import { Chart } from "./Chart.tsx";
import { modelOf, scaleAt } from "./model.ts";
import { SpanTable } from "./SpanTable.tsx";
import { targetKey, timeOf } from "./spans.ts";
import { useThrottled, useWorkerTime } from "./useClock.ts";
import { useSize } from "./useSize.ts";
import "./timeline.css";
import "./rows.css";
import "./bars.css";
import "./runs.css";
import "./words.css";

/** Five pictures a second look alive; each costs laying out all that changed, at most 10,000 spans. */
const MODEL_EVERY_MS = 200;

/** Names stand above bars where less than this is left for both. */
const COMPACT_PX = 520;

/** What happened when, and what is happening: runs, their agents, steps and calls as bars over time. */
export function Timeline(props: TimelineProps) {
  // A replay is steered by hand: what it shows follows at once.
  const version = useThrottled(props.version, props.live ? MODEL_EVERY_MS : 0);
  return <Picture {...props} version={version} seq={0} head={0} />;
}

const Picture = memo(function Picture(props: TimelineProps) {
  const { state, markers, live, selection, onSelect } = props;
  const root = useRef<HTMLDivElement>(null);
  const { width } = useSize(root);
  const compact = width < COMPACT_PX;
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [skipIdle, setSkipIdle] = useState(true);
  const [table, setTable] = useState(false);

  const { runs, steps, agents, llm_calls, tools, messages, reasoning, tasks, pending_inputs } = state;
  const model = useMemo(() => {
    const drawn = { runs, steps, agents, llm_calls, tools, messages, reasoning, tasks, pending_inputs };
    return modelOf(drawn, markers, { folded, compact });
  }, [runs, steps, agents, llm_calls, tools, messages, reasoning, tasks, pending_inputs, markers, folded, compact]);

  const time = useWorkerTime(model.spans.latest, model.open && live, live);
  const now = live ? time : Math.max(timeOf(props.shownTs), model.spans.latest);
  // Nothing open: the picture stands still, whatever the clock says.
  const shownNow = model.open ? now : model.spans.latest;
  const scale = useMemo(() => scaleAt(model, shownNow, skipIdle), [model, shownNow, skipIdle]);
  const selected = useMemo(() => {
    const wanted = selection && targetKey(selection);
    return (wanted && model.spans.spans.find((span) => targetKey(span.target) === wanted)?.id) ?? null;
  }, [model, selection]);

  const fold = (runId: string) => {
    const next = new Set(folded);
    if (!next.delete(runId)) next.add(runId);
    setFolded(next);
  };
  return (
    <div className="tl-root" ref={root}>
      {width === 0 ? null : model.layout.rows.length === 0 ? (
        <EmptyState icon={<Icon name="clock" size={24} />} title="Nothing has run yet">
          A run shows here as bars over time as soon as it is asked for.
        </EmptyState>
      ) : (
        <Chart
          model={model}
          scale={scale}
          now={shownNow}
          live={live}
          compact={compact}
          selectedId={selected}
          skipIdle={skipIdle}
          table={table ? <SpanTable model={model} now={shownNow} selectedId={selected} onSelect={onSelect} /> : null}
          summary={summaryOf(model.layout.groups.length, model.spans.spans.length)}
          onSkipIdle={setSkipIdle}
          onTable={setTable}
          onFold={fold}
          onSelect={onSelect}
        />
      )}
    </div>
  );
});

function summaryOf(runs: number, spans: number): string {
  return `${plural(runs, "run")}, ${plural(spans, "bar")}`;
}
