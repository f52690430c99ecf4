import { formatDuration, formatExact } from "../../ui/format.ts";
import { useNow } from "../../ui/now.ts";
import { timeLeft } from "./answer.ts";

/** How long there is left; the moment itself on hover. */
export function Deadline({ at }: { readonly at: string | null }) {
  const left = timeLeft(at, useNow(1_000));
  if (left === null || at === null) return null;
  return (
    <time
      className={left.soon ? "deadline deadline-soon" : "deadline"}
      dateTime={at}
      title={`until ${formatExact(Date.parse(at))}`}
    >
      {left.over ? "time is over" : `${formatDuration(Math.ceil(left.ms / 1000) * 1000)} left`}
    </time>
  );
}
