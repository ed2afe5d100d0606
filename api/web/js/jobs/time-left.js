// The time left of a running dream, from the worker's estimates: a range at first, then a number that falls.

import { about } from "../core/format.js";

const SURE_FROM = 0.1; // share of the work before which there is only a range
const MEMORY_S = 8; // reports of about this long are averaged, fewer when less time is left
const MARGIN = 1.3; // the shown time rises only when the estimate exceeds it by this factor

/**
 * Creates a function from a job's progress to a text such as "about 3 min left"; null while nothing is known.
 * @param {() => number} clock seconds
 */
export function timeLeft(clock = () => performance.now() / 1000) {
  let last = null;
  let end = null; // estimated time of the end
  let range = null; // times of the end
  let shown = null;

  return ({ fraction, eta_seconds: eta, eta_low_seconds: low, eta_high_seconds: high }) => {
    const now = clock();
    if (eta === null || eta === undefined) return null;
    const guess = now + eta;
    const memory = Math.min(MEMORY_S, Math.max(1, eta));
    end = end === null ? guess : end + (guess - end) * (1 - Math.exp(-(now - last) / memory));
    last = now;
    if (fraction < SURE_FROM) {
      const ends = [now + (low ?? eta / 2), now + (high ?? eta * 2)];
      range = range ? [Math.min(range[0], ends[0]), Math.max(range[1], ends[1])] : ends;
      return `${between(Math.max(0, range[0] - now), range[1] - now)} left`;
    }
    if (range) end = guess; // what was uncertain does not count any more
    range = null;
    const left = Math.max(0, end - now);
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
