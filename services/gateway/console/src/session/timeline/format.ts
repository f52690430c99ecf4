/** Moments as a clock shows them, in the reader's own time zone. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

const two = (value: number): string => String(value).padStart(2, "0");

/** Return a moment as exactly as marks `step` milliseconds apart need it: `14:02`, `14:02:11`, `14:02:11.4`. */
export function clock(time: number, step = SECOND): string {
  const at = new Date(time);
  if (step >= DAY) return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const hours = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (step >= MINUTE) return hours;
  const seconds = `${hours}:${two(at.getSeconds())}`;
  if (step >= SECOND) return seconds;
  const digits = step >= 100 ? 1 : step >= 10 ? 2 : 3;
  return `${seconds}.${String(at.getMilliseconds()).padStart(3, "0").slice(0, digits)}`;
}

/** Return a moment to the millisecond, with its day unless that is today. */
export function moment(time: number, now = Date.now()): string {
  const exact = clock(time, 1);
  return new Date(time).toDateString() === new Date(now).toDateString() ? exact : `${clock(time, DAY)} ${exact}`;
}
