import { memo } from "react";
import { formatDuration } from "../../ui/format.ts";
import { type Projection, pixelOf } from "./boxes.ts";
import { ticksOf } from "./ticks.ts";

/** The time above the rows. */
export const Axis = memo(function Axis({
  projection,
  labels,
  open,
}: {
  readonly projection: Projection;
  readonly labels: number;
  readonly open: boolean;
}) {
  const { scale, view, width, now } = projection;
  const length = scale.length || 1;
  const from = Math.max(0, view.from / length);
  const to = Math.min(1, view.to / length);
  const nowAt = pixelOf(now, projection);
  return (
    <div className="tl-axis" aria-hidden="true">
      {labels > 0 && (
        <div className="tl-corner" style={{ width: labels }}>
          {formatDuration(scale.end - scale.start)} in all
        </div>
      )}
      <div className="tl-ticks" style={{ left: labels, width }}>
        {ticksOf(scale, view, width).map((tick) =>
          tick.kind === "break" ? null : (
            <span key={tick.label} className="tl-tick" style={{ left: tick.x }}>
              {tick.label}
            </span>
          ),
        )}
        {open && nowAt >= 0 && nowAt <= width && <span className="tl-now-mark" style={{ left: nowAt }} />}
        {to - from < 0.995 && (
          <span className="tl-range" style={{ left: from * width, width: Math.max((to - from) * width, 8) }} />
        )}
      </div>
    </div>
  );
});

/** Lines through all rows: the marks of the axis, the breaks where nothing was at work, and now. */
export const Lines = memo(function Lines({
  projection,
  labels,
  open,
}: {
  readonly projection: Projection;
  readonly labels: number;
  readonly open: boolean;
}) {
  const { scale, view, width, now } = projection;
  const nowAt = pixelOf(now, projection);
  return (
    <div className="tl-lines" style={{ left: labels, width }} aria-hidden="true">
      {ticksOf(scale, view, width).map((tick) =>
        tick.kind === "time" && tick.x >= 0 ? (
          <span key={tick.label} className="tl-line" style={{ left: tick.x }} />
        ) : null,
      )}
      {scale.breaks.map((gap) => {
        const from = Math.max(pixelOf(gap.start, projection), 0);
        const to = Math.min(pixelOf(gap.end, projection), width);
        if (to - from < 2) return null;
        return (
          <span key={gap.start} className="tl-break" style={{ left: from, width: to - from }}>
            {to - from > 26 && <span className="tl-break-label">{formatDuration(gap.end - gap.start)}</span>}
          </span>
        );
      })}
      {open && nowAt >= 0 && nowAt <= width && <span className="tl-now" style={{ left: nowAt }} />}
    </div>
  );
});
