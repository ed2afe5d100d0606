// How long a dream will take, from how long dreams have taken here. Nothing is guessed before one has run.

import { get } from "../core/api.js";

/** The octaves' sizes, smallest first, as the engine cuts them. */
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

/** The size that is dreamt, once `scale` or `long_side` have enlarged the photograph. */
export function dreamtSize(width, height, params) {
  const factor = params.long_side ? params.long_side / Math.max(width, height) : params.scale || 1;
  return [Math.round(width * factor), Math.round(height * factor)];
}

/** Pixels times iterations over all octaves: what the progress counts too. */
export function pixelSteps(width, height, params, minimumPx = 64) {
  const [w, h] = dreamtSize(width, height, params);
  const sizes = octaveSizes(w, h, params, minimumPx);
  return sizes.reduce((sum, [ow, oh]) => sum + ow * oh, 0) * params.iterations;
}

/** @typedef {{perSecond: number, dreams: number, overheadS: number}} Pace */

let measured = { at: 0, jobs: [] };

/** The dreams that ended here lately. */
async function lately() {
  if (Date.now() - measured.at > 20_000) {
    const page = await get("/v1/jobs?state=succeeded&limit=40");
    measured = { at: Date.now(), jobs: page.jobs.filter((job) => job.kind === "dream" && job.started_at && job.finished_at) };
  }
  return measured.jobs;
}

/**
 * The measured pace of this network, of these layers where they have been dreamt before. Null: nothing measured yet.
 * @returns {Promise<Pace | null>}
 */
export async function pace(params) {
  const jobs = (await lately()).filter((job) => job.params.model === params.model);
  const key = (p) => (p.layers ?? []).map((t) => t.layer).sort().join();
  const same = jobs.filter((job) => key(job.params) === key(params));
  const used = same.length ? same : jobs;
  if (!used.length) return null;
  const rates = used.map((job) => job.progress?.pixels_per_second || wholeRate(job)).filter((rate) => rate > 0).sort((a, b) => a - b);
  if (!rates.length) return null;
  const perSecond = rates[Math.floor((rates.length - 1) / 2)];
  const overheads = used.map((job) => Math.max(0, seconds(job) - steps(job) / perSecond)).sort((a, b) => a - b);
  return { perSecond, dreams: rates.length, overheadS: Math.min(30, overheads[Math.floor(overheads.length / 2)]) };
}

const seconds = (job) => (new Date(job.finished_at) - new Date(job.started_at)) / 1000;
const steps = (job) => pixelSteps(job.input.width, job.input.height, job.params);
const wholeRate = (job) => steps(job) / Math.max(0.2, seconds(job));

/** Seconds until what waits and runs now is done, spread over the workers; 0 when nothing does. */
export async function queueSeconds(perSecond, workers) {
  const page = await get("/v1/jobs?state=queued,running&limit=200");
  const left = page.jobs.reduce((sum, job) => {
    const whole = job.kind === "dream" ? steps(job) : 0;
    return sum + whole * (1 - (job.progress?.fraction ?? 0));
  }, 0);
  return { jobs: page.jobs.length, seconds: left / perSecond / Math.max(1, workers) };
}
