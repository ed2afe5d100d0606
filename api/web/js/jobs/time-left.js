// The time left of a running dream, smoothed from the worker's reports: a range at first, then a number that falls.

import { about } from "../core/format.js";

const SURE_FROM = 0.1; // share of the work before which there is only a range
const MEMORY_S = 8; // reports of about this long are averaged
const MARGIN = 1.3; // the shown time rises only when the estimate exceeds it by this factor

/**
 * Creates a function from a job's progress to a text such as "about 3 min left"; null while nothing is known.
 * @param {() => number} clock seconds
 */
export function timeLeft(clock = () => performance.now() / 1000) {
  let first = null; // report from which the average speed counts
  let last = null;
  let end = null; // estimated time of the end
  let range = null;
  let shown = null;

  return ({ fraction, eta_seconds: eta }) => {
    const now = clock();
    if (eta === null || eta === undefined) return null;
    first ??= { now, fraction };
    if (first.fraction > fraction) first = { now, fraction }; // another worker has resumed the dream
    const done = fraction - first.fraction;
    const average = done > 0.01 ? ((1 - fraction) * (now - first.now)) / done : eta;
    const guess = now + (eta + average) / 2;
    end = end === null ? guess : end + (guess - end) * (1 - Math.exp(-(now - last) / MEMORY_S));
    last = now;
    const left = Math.max(0, end - now);
    if (fraction < SURE_FROM) {
      const [low, high] = [Math.min(left, eta) * 0.8, Math.max(left, eta) * 1.4];
      range = range ? [Math.min(range[0], low), Math.max(range[1], high)] : [low, high];
      return `${between(...range)} left`;
    }
    if (shown === null || left < shown || left > shown * MARGIN + 3) shown = left;
    return shown < 1.5 ? "nearly there" : `${about(shown)} left`;
  };
}

/** "10 to 40 s", "2 to 5 min" */
export function between(low, high) {
  const [unit, size] = high < 100 ? ["s", 1] : high < 100 * 60 ? ["min", 60] : ["h", 3600];
  const step = unit === "s" && high > 20 ? 5 : 1;
  const [from, to] = [Math.max(step, Math.floor(low / size / step) * step), Math.ceil(high / size / step) * step];
  return from >= to ? `about ${to} ${unit}` : `${from} to ${to} ${unit}`;
}
