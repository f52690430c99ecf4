/** Numbers, times and durations in words: the same everywhere, whatever the browser's language (the page's is English). */

const COUNT = new Intl.NumberFormat("en");
const EXACT = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  timeZoneName: "short",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `1,337` */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** `3 runs`, `1 run` */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `340 ms`, `1.24 s`, `12.3 s`, `2 min 03 s`, `1 h 04 min`, `3 d 2 h` */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const size = Math.max(0, ms);
  if (size < SECOND_MS) return `${Math.round(size)} ms`;
  if (size < 10 * SECOND_MS) return `${(size / SECOND_MS).toFixed(2)} s`;
  if (size < MINUTE_MS) return `${(size / SECOND_MS).toFixed(1)} s`;
  if (size < HOUR_MS) return `${Math.floor(size / MINUTE_MS)} min ${two(Math.floor((size % MINUTE_MS) / SECOND_MS))} s`;
  if (size < DAY_MS) return `${Math.floor(size / HOUR_MS)} h ${two(Math.floor((size % HOUR_MS) / MINUTE_MS))} min`;
  return `${Math.floor(size / DAY_MS)} d ${Math.floor((size % DAY_MS) / HOUR_MS)} h`;
}

/** `now`, `12 s ago`, `3 min ago`, `in 2 h`; after a month, the day. */
export function formatAge(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance > 30 * DAY_MS) return DAY.format(at);
  if (distance < 5 * SECOND_MS) return "now";
  const amount =
    distance < MINUTE_MS
      ? `${Math.floor(distance / SECOND_MS)} s`
      : distance < HOUR_MS
        ? `${Math.floor(distance / MINUTE_MS)} min`
        : distance < DAY_MS
          ? `${Math.floor(distance / HOUR_MS)} h`
          : `${Math.floor(distance / DAY_MS)} d`;
  return at <= now ? `${amount} ago` : `in ${amount}`;
}

/** `21 Nov 2026, 15:28:04.120 CET` */
export function formatExact(at: number): string {
  return EXACT.format(at);
}

/** `12.3 kB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}
