import { Text } from "../../../ui/Text.tsx";
import "./notes.css";
import { visible } from "../../../ui/visible.ts";

interface ProgressProps {
  /** From 0 to 1; null when nobody knows. */
  readonly fraction: number | null;
  readonly label: string | null;
  /** What it is the progress of, for those who don't see the bar. */
  readonly name: string;
}

/** How far something is. */
export function Progress({ fraction, label, name }: ProgressProps) {
  const share = fraction === null ? null : Math.min(Math.max(fraction, 0), 1);
  const percent = share === null ? undefined : Math.round(share * 100);
  return (
    <div className="progress">
      <div
        className="progress-track"
        role="progressbar"
        aria-label={visible(name)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <div
          className={share === null ? "progress-bar progress-unknown" : "progress-bar"}
          style={share === null ? undefined : { transform: `scaleX(${share})` }}
        />
      </div>
      <span className="progress-label">
        {percent !== undefined && <span>{percent} %</span>}
        {label !== null && <Text clip>{label}</Text>}
      </span>
    </div>
  );
}
