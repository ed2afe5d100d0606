// Formats numbers, times and names for people.

/** "about 40 s", "about 3 min", "about 2 h". */
export function about(seconds) {
  if (seconds < 1.5) return "about a second";
  if (seconds < 55) return `about ${Math.max(2, seconds < 20 ? Math.round(seconds) : Math.round(seconds / 5) * 5)} s`;
  if (seconds < 90 * 60) return `about ${Math.max(1, Math.round(seconds / 60))} min`;
  return `about ${(seconds / 3600).toFixed(seconds < 36000 ? 1 : 0)} h`;
}

/** "12 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 1) return "under a second";
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  const minutes = Math.round((s % 3600) / 60);
  return minutes ? `${Math.floor(s / 3600)} h ${minutes} min` : `${Math.floor(s / 3600)} h`;
}

/** "4.2 MB" */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  let size = count;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** "902 × 600", kept on one line */
export const pixels = (width, height) => `${width}\u00a0×\u00a0${height}`;

/** "1.2 million pixels a second", "480 thousand pixels a second" */
export function speed(perSecond) {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(1)} million pixels a second`;
  return `${Math.round(perSecond / 1e3)} thousand pixels a second`;
}

/** "1st", "2nd", "3rd", "11th" for a position that counts from 0. */
export function ordinal(position) {
  const n = position + 1;
  const tens = n % 100;
  const ending = tens > 10 && tens < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${ending}`;
}

const STEPS = [
  ["minute", 60],
  ["hour", 3600],
  ["day", 86400],
];
/** "just now", "5 minutes ago", "2 days ago", then the date. */
export function ago(iso) {
  const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
  if (seconds < 60) return "just now";
  if (seconds > 7 * 86400) return new Date(iso).toLocaleDateString(undefined, { dateStyle: "medium" });
  const [unit, size] = STEPS.findLast(([, s]) => seconds >= s);
  return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(-Math.floor(seconds / size), unit);
}

/** "block11_expand" -> "Block 11 expand"; "step_size" -> "Step size" */
export function humanize(name) {
  const spaced = name.replace(/_/g, " ").replace(/([a-z])(\d)/gi, "$1 $2");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export const STATES = {
  queued: "Waiting",
  running: "Dreaming",
  canceling: "Stopping",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Canceled",
  expired: "Expired",
};

export function isTerminal(state) {
  return ["succeeded", "failed", "canceled", "expired"].includes(state);
}

/** "1 photograph", "3 photographs" */
export function count(n, noun, plural = `${noun}s`) {
  return `${n} ${n === 1 ? noun : plural}`;
}
