import { memo } from "react";
import { formatDuration } from "../../ui/format.ts";

/** Below this all lines look flat: a millisecond's jitter is no mountain. */
const TOP_MIN_MS = 40;

/** Delays as a line, the newest at the right. */
export const Sparkline = memo(function Sparkline({
  delays,
  width,
  height,
}: {
  readonly delays: readonly number[];
  readonly width: number;
  readonly height: number;
}) {
  const top = Math.max(TOP_MIN_MS, ...delays);
  const step = width / Math.max(delays.length - 1, 1);
  const y = (delay: number) => height - 1.5 - (delay / top) * (height - 3);
  const points = delays.map((delay, at) => `${(at * step).toFixed(1)} ${y(delay).toFixed(1)}`);
  const most = delays.reduce((a, b) => Math.max(a, b), 0);
  return (
    <svg
      className="proof-spark"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Delays of the last ${delays.length} events, at most ${formatDuration(most)}`}
    >
      <path className="proof-spark-area" d={`M0 ${height}L${points.join("L")}L${width} ${height}Z`} />
      <path className="proof-spark-line" d={`M${points.join("L")}`} vectorEffect="non-scaling-stroke" />
    </svg>
  );
});
