// How the service is doing: workers, queue, running jobs, throughput.

import { get, offers } from "../core/api.js";
import { fill, h, icon } from "../core/dom.js";
import { about, count, ordinal, speed } from "../core/format.js";
import { describe } from "../jobs/naming.js";
import { pixelSteps } from "../jobs/estimate.js";

const EVERY_MS = 3000;

export async function statusView({ signal }) {
  const numbers = h("dl", { className: "numbers" });
  const health = h("div", { className: "health" });
  const workers = h("section", { className: "section", "aria-labelledby": "workers-title" });
  const jobs = h("section", { className: "section", "aria-labelledby": "jobs-title" });
  const detailed = await offers("/v1/status").catch(() => false);

  async function look() {
    const [ready, status, active, done] = await Promise.all([
      get("/readyz", { signal }).catch((problem) => readinessOf(problem)),
      detailed ? get("/v1/status", { signal }) : null,
      get("/v1/jobs?state=queued,running,canceling&limit=200", { signal }),
      get("/v1/jobs?state=succeeded&limit=100", { signal }),
    ]);
    const own = fallback(ready, active.jobs, done.jobs);
    const facts = status ? { ...status, throughput: merged(status.throughput, own.throughput) } : own;
    drawNumbers(facts);
    fill(health, light("Redis", ready.redis), light("Storage", ready.storage), light("Workers", facts.workers.length || ready.workers ? "ok" : "none is alive"));
    drawWorkers(facts, ready);
    await drawJobs(active.jobs);
  }

  function drawNumbers({ queued, running, throughput, workers: alive, worker_count: total }) {
    const lastHour = throughput?.jobs_last_hour ?? 0;
    const pair = (term, value, unit = "") => h("div", null, h("dt", null, term), h("dd", null, value, unit && h("small", null, ` ${unit}`)));
    const [rate, unit] = throughput?.pixels_per_second ? speed(throughput.pixels_per_second).split(" ") : ["–", ""];
    fill(numbers, pair("Workers alive", String(total ?? alive.length)), pair("Waiting", String(queued)), pair("Dreaming now", String(running)), pair("Done in the last hour", String(lastHour)), pair("Throughput", rate, unit));
  }

  function drawWorkers({ workers: alive, worker_count: total }) {
    const title = h("h2", { id: "workers-title" }, "Workers");
    if (alive.length) {
      return fill(workers, title, h("ul", { className: "rows" }, alive.map((one) =>
        h("li", null, h("strong", { className: "wrap-anywhere" }, one.name), h("span", { className: "muted wrap-anywhere" }, [one.device, (one.models ?? []).join(", ")].filter(Boolean).join(", ")), one.job_id ? h("a", { href: `/jobs/${one.job_id}` }, "Dreaming") : h("span", { className: "badge", dataset: { state: one.busy ? "running" : "succeeded" } }, one.busy ? "Dreaming" : "Ready")))));
    }
    const text = total ? `${count(total, "worker")} alive and listening.` : "No worker is alive. Dreams wait until one is started.";
    return fill(workers, title, h("p", { className: "muted" }, text));
  }

  async function drawJobs(list) {
    const title = h("h2", { id: "jobs-title" }, "Your dreams under way");
    if (!list.length) return fill(jobs, title, h("p", { className: "muted" }, "Nothing waits and nothing runs."));
    const rows = await Promise.all(list.slice(0, 30).map(async (job) => {
      const named = await describe(job);
      const left = job.progress.eta_seconds;
      const where = job.state === "queued" ? `${ordinal(job.queue_position ?? 0)} in the queue` : `${Math.floor(job.progress.fraction * 100)} %${left ? `, ${about(left)} left` : ""}`;
      const meter = job.state === "queued" ? h("span") : h("div", { className: "meter", role: "progressbar", "aria-label": `Progress of ${named.name}`, "aria-valuenow": String(Math.floor(job.progress.fraction * 100)) }, h("i", { style: { width: `${job.progress.fraction * 100}%` } }));
      return h("li", null, h("a", { href: `/jobs/${job.id}`, className: "ellipsis" }, named.name), h("span", { className: "num" }, where), meter);
    }));
    return fill(jobs, title, h("ul", { className: "rows" }, rows));
  }

  await look();
  repeat(look, signal);
  const head = h("div", { className: "view-head" }, h("h1", null, "Status"), health);
  return { title: "Status", node: h("div", null, head, numbers, workers, jobs) };
}

async function repeat(look, signal) {
  while (!signal.aborted) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    if (signal.aborted || document.hidden) continue;
    await look().catch(() => {}); // the next look may find the server again
  }
}

function light(name, word) {
  const ok = word === "ok";
  return h("span", { className: "badge", dataset: { state: ok ? "succeeded" : "failed" } }, ok ? name : [icon("alert"), `${name}: ${word}`], ok && h("span", { className: "hidden" }, ": fine"));
}

/** A 503 of /readyz has the facts as well, though not as a problem. */
function readinessOf(problem) {
  return { redis: problem.status ? "ok" : "unknown", storage: problem.status ? "ok" : "unknown", workers: 0 };
}

/** The server's numbers; one's own where it has none. */
function merged(theirs, own) {
  return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, theirs?.[name] ?? value]));
}

/** Where there is no status document: from readiness and one's own jobs. */
function fallback(ready, active, done) {
  const hourAgo = Date.now() - 3600e3;
  const recent = done.filter((job) => new Date(job.finished_at) > hourAgo && job.kind === "dream");
  const rates = recent.map((job) => job.progress.pixels_per_second || pixelSteps(job.input.width, job.input.height, job.params) / Math.max(0.2, (new Date(job.finished_at) - new Date(job.started_at)) / 1000));
  const mean = rates.length ? rates.reduce((a, b) => a + b, 0) / rates.length : null;
  return {
    workers: [],
    worker_count: ready.workers,
    queued: active.filter((job) => job.state === "queued").length,
    running: active.filter((job) => job.state !== "queued").length,
    throughput: { pixels_per_second: mean, jobs_last_hour: recent.length },
  };
}
