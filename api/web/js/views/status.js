// The state of the service: workers, queue, running jobs and throughput.

import { get } from "../core/api.js";
import { fill, h, icon } from "../core/dom.js";
import { ordinal, speed } from "../core/format.js";
import { describe } from "../jobs/job-name.js";
import { pixelSteps } from "../jobs/estimate.js";
import { timeLeft } from "../jobs/time-left.js";

const REFRESH_MS = 3000;

export async function statusView({ signal }) {
  const numbers = h("dl", { className: "numbers" });
  const health = h("div", { className: "health" });
  const workers = h("section", { className: "section", "aria-labelledby": "workers-title" });
  const jobs = h("section", { className: "section", "aria-labelledby": "jobs-title" });

  const remaining = new Map(); // time left by job id

  async function refresh() {
    const [ready, status, active, done] = await Promise.all([
      get("/readyz", { signal }).catch((problem) => readinessOf(problem)),
      get("/v1/status", { signal }),
      get("/v1/jobs?state=queued,running,canceling&limit=200", { signal }),
      get("/v1/jobs?state=succeeded&limit=100", { signal }),
    ]);
    drawNumbers(status, lastHour(done.jobs));
    fill(health, light("Redis", ready.redis), light("Storage", ready.storage), light("Workers", status.workers.length ? "ok" : "none running"));
    drawWorkers(status.workers);
    await drawJobs(active.jobs);
  }

  function drawNumbers({ queued, running, throughput, workers: alive }, own) {
    const pair = (term, value, unit = "") => h("div", null, h("dt", null, term), h("dd", null, value, unit && h("small", null, ` ${unit}`)));
    const pace = throughput.pixels_per_second || own.rate; // of running jobs, else of recent ones
    const [, rate, unit] = pace ? speed(pace).match(/^(\S+) (.*)$/) : [null, "–", ""];
    fill(numbers, pair("Live workers", String(alive.length)), pair("Waiting", String(queued)), pair("Running", String(running)), pair("Your jobs in the last hour", String(own.jobs)), pair("Speed", rate, unit));
  }

  function drawWorkers(alive) {
    const title = h("h2", { id: "workers-title" }, "Workers");
    if (alive.length) {
      return fill(workers, title, h("ul", { className: "rows" }, alive.map((one) =>
        h("li", null, h("strong", { className: "wrap-anywhere" }, one.name), h("span", { className: "muted wrap-anywhere" }, [one.device, (one.models ?? []).join(", ")].filter(Boolean).join(", ")), one.job_id ? h("a", { href: `/jobs/${one.job_id}` }, "Dreaming") : h("span", { className: "badge", dataset: { state: one.busy ? "running" : "succeeded" } }, one.busy ? "Dreaming" : "Ready")))));
    }
    return fill(workers, title, h("p", { className: "muted" }, "No worker is running. Jobs wait until one starts."));
  }

  async function drawJobs(list) {
    const title = h("h2", { id: "jobs-title" }, "Your active jobs");
    if (!list.length) return fill(jobs, title, h("p", { className: "muted" }, "No job is waiting or running."));
    const rows = await Promise.all(list.slice(0, 30).map(async (job) => {
      const named = await describe(job);
      if (!remaining.has(job.id)) remaining.set(job.id, timeLeft());
      const left = job.state === "running" ? remaining.get(job.id)(job.progress) : null;
      const where = job.state === "queued" ? job.waiting_for ?? `${ordinal(job.queue_position ?? 0)} in the queue` : `${Math.floor(job.progress.fraction * 100)} %${left ? `, ${left}` : ""}`;
      const meter = job.state === "queued" ? h("span") : h("div", { className: "meter", role: "progressbar", "aria-label": `Progress of ${named.title}`, "aria-valuenow": String(Math.floor(job.progress.fraction * 100)) }, h("i", { style: { width: `${job.progress.fraction * 100}%` } }));
      return h("li", null, h("a", { href: `/jobs/${job.id}`, className: "ellipsis" }, named.title), h("span", { className: "num" }, where), meter);
    }));
    return fill(jobs, title, h("ul", { className: "rows" }, rows));
  }

  await refresh();
  repeat(refresh, signal);
  const head = h("div", { className: "view-head" }, h("h1", null, "Status"), health);
  return { title: "Status", node: h("div", null, head, numbers, workers, jobs) };
}

async function repeat(refresh, signal) {
  while (!signal.aborted) {
    await new Promise((done) => setTimeout(done, REFRESH_MS));
    if (signal.aborted || document.hidden) continue;
    await refresh().catch(() => {}); // the server is unavailable; try again at the next refresh
  }
}

function light(name, word) {
  const ok = word === "ok";
  return h("span", { className: "badge", dataset: { state: ok ? "succeeded" : "failed" } }, ok ? name : [icon("alert"), `${name}: ${word}`], ok && h("span", { className: "hidden" }, ": ok"));
}

/** Builds a readiness from the 503 of /readyz, whose body is not a problem document. */
function readinessOf(problem) {
  return { redis: problem.status ? "ok" : "unknown", storage: problem.status ? "ok" : "unknown", workers: 0 };
}

/** Summarizes the user's own dreams of the last hour. */
function lastHour(done) {
  const hourAgo = Date.now() - 3600e3;
  const recent = done.filter((job) => new Date(job.finished_at) > hourAgo && job.kind === "dream");
  const rates = recent.map((job) => pixelSteps(job.input.width, job.input.height, job.params) / Math.max(0.2, (new Date(job.finished_at) - new Date(job.started_at)) / 1000));
  return { jobs: recent.length, rate: rates.length ? rates.reduce((a, b) => a + b, 0) / rates.length : null };
}
