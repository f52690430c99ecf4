import { formatAge, formatExact } from "./format.ts";
import { useNow } from "./now.ts";

interface TimeProps {
  /** As the API gives it (RFC 3339), or milliseconds. */
  readonly at: string | number;
  readonly className?: string;
}

// A list of fifty rows that all count seconds is restless; what is younger than a minute shows its seconds in tens.
const EVERY_MS = 10_000;

/** How long ago something was; the exact time on hover. */
export function Time({ at, className }: TimeProps) {
  const now = useNow(EVERY_MS);
  const ms = typeof at === "number" ? at : Date.parse(at);
  if (Number.isNaN(ms)) return <span className={className}>–</span>;
  return (
    <time className={className} dateTime={new Date(ms).toISOString()} title={formatExact(ms)}>
      {formatAge(ms, Math.max(now, Date.now()))}
    </time>
  );
}
