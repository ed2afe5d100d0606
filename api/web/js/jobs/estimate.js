// Estimates how long a job takes from the durations of earlier jobs. Without any, there is no estimate.

import { get } from "../core/api.js";

/** Returns the octaves' sizes, smallest first, as the engine computes them. */
export function octaveSizes(width, height, { octaves, octave_scale: scale }, minimumPx = 64) {
  const sizes = [[width, height]];
  while (sizes.length < octaves) {
    const [w, h] = sizes[0];
    const next = [Math.floor(w * scale), Math.floor(h * scale)];
    if (Math.min(...next) < minimumPx) break;
    sizes.unshift(next);
  }
  return sizes;
}

/** Returns the size of the dream: that of the photograph after `scale` or `long_side`. */
export function dreamSize(width, height, params) {
  const factor = params.long_side ? params.long_side / Math.max(width, height) : params.scale || 1;
  return [Math.round(width * factor), Math.round(height * factor)];
}

/** Returns pixels times iterations over all octaves, the unit in which progress is counted. */
export function pixelSteps(width, height, params, minimumPx = 64) {
  const [w, h] = dreamSize(width, height, params);
  const sizes = octaveSizes(w, h, params, minimumPx);
  return sizes.reduce((sum, [ow, oh]) => sum + ow * oh, 0) * params.iterations;
}

/** @typedef {{perSecond: number, dreams: number, overheadS: number}} Pace */

let measured = { at: 0, jobs: [] };

/** Returns the recently finished dreams, cached for 20 s. */
async function recentJobs() {
  if (Date.now() - measured.at > 20_000) {
    const page = await get("/v1/jobs?kind=dream&state=succeeded&limit=40");
    measured = { at: Date.now(), jobs: page.jobs.filter((job) => job.started_at && job.finished_at) };
  }
  return measured.jobs;
}

/**
 * Returns the measured speed for this network, and for these layers if measured. Null if nothing is measured yet.
 * @returns {Promise<Pace | null>}
 */
export async function pace(params) {
  const jobs = (await recentJobs()).filter((job) => job.params.model === params.model);
  const key = (p) => (p.layers ?? []).map((t) => t.layer).sort().join();
  const same = jobs.filter((job) => key(job.params) === key(params));
  const used = same.length ? same : jobs;
  if (!used.length) return null;
  return { ...fit(used.map((job) => [steps(job), seconds(job)])), dreams: used.length };
}

/**
 * Fits seconds = overhead + steps / rate by least squares if the dreams differ enough in size; otherwise uses the
 * median rate without overhead.
 * @param {[number, number][]} runs steps and seconds
 */
export function fit(runs) {
  const sizes = runs.map(([x]) => x);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  if (runs.length >= 3 && Math.max(...sizes) > 2 * Math.min(...sizes)) {
    const [mx, my] = [mean(sizes), mean(runs.map(([, y]) => y))];
    const slope = runs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / runs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
    const overheadS = my - slope * mx;
    if (slope > 0 && overheadS >= 0) return { perSecond: 1 / slope, overheadS };
  }
  const rates = runs.map(([x, y]) => x / Math.max(0.2, y)).sort((a, b) => a - b);
  return { perSecond: rates[Math.floor((rates.length - 1) / 2)], overheadS: 0 };
}

const seconds = (job) => (new Date(job.finished_at) - new Date(job.started_at)) / 1000;
const steps = (job) => pixelSteps(job.input.width, job.input.height, job.params);

/** Returns the seconds until all queued and running jobs are done, divided among the workers. */
export async function queueSeconds(perSecond, workers) {
  const page = await get("/v1/jobs?kind=dream&state=queued,running&limit=200");
  const left = page.jobs.reduce((sum, job) => sum + steps(job) * (1 - (job.progress?.fraction ?? 0)), 0);
  return { jobs: page.jobs.length, seconds: left / perSecond / Math.max(1, workers) };
}
