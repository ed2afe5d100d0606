// One job: its progress while it waits and runs, then its result.

import { get, request } from "../core/api.js";
import { ask, confirm, speak, toast } from "../core/announce.js";
import { button, fill, h } from "../core/dom.js";
import { duration, isTerminal, STATES } from "../core/format.js";
import { go } from "../core/router.js";
import { deletePhoto } from "../core/photo-cache.js";
import { announceDeletion, onDeletion } from "../core/tabs.js";
import { recompose, reuseSettings } from "../dream/recompose.js";
import { dreamSize } from "../jobs/estimate.js";
import { watchJob } from "../jobs/events.js";
import { describe } from "../jobs/job-name.js";
import { madePanel } from "../jobs/made-panel.js";
import { progressPanel } from "../jobs/progress-panel.js";
import { reportOf, resultPanel, resultStage } from "../jobs/result-panel.js";

const UNSHOWN = ["heic", "tiff", "jxl"]; // formats that only some browsers show
const MUCH_WORK_S = 60; // of a dream: canceling more than this asks first

export async function jobView({ params, signal }) {
  const first = await get(`/v1/jobs/${encodeURIComponent(params.id)}`);
  const named = await describe(first);
  const address = beforeAddress(first, named.cached, signal);
  let before = await shownPhotograph(first, address);
  const [width, height] = dreamSize(first.input.width, first.input.height, first.params);
  const stage = h("div", { className: "job-stage", style: { "--ratio": `${width} / ${height}` } });
  const side = h("div", { className: "job-side" });
  const badge = h("span", { className: "badge" });
  const head = h("div", { className: "job-title" }, badge, h("h1", null, named.title), h("p", { className: "muted" }, named.when, " · ", button("Rename", { className: "link", onclick: rename })));
  const body = h("div", { className: "stack" });
  const made = h("section", { className: "made", "aria-label": "How it is made" });
  fill(side, head, body);

  let phase = null;
  let panel = null;
  let current = first;
  const actions = { cancel, retry, again, another, remove };

  function show(job) {
    current = job;
    badge.dataset.state = job.state;
    badge.textContent = STATES[job.state];
    const now = isTerminal(job.state) ? job.state : "progress";
    if (now !== phase) {
      panel?.close?.();
      phase = now;
      panel = now === "progress" ? progressPanel({ job, before, stage, signal, actions }) : null;
      if (panel) {
        fill(body, panel.node);
        madePanel({ job, named, before }).then((parts) => phase === now && fill(made, parts));
      } else end(job);
    }
    panel?.update(job);
    document.title = `${titleOf(job)}${named.title} · Dreamqueue`;
  }

  async function end(job) {
    before ??= await shownPhotograph(job, address); // once a worker has read it
    fill(body, resultPanel({ job, name: named.name, actions }));
    const shownOnStage = resultStage({ job, before, stage, width, height });
    panel = { update: () => {}, close: shownOnStage.close };
    fill(made, await madePanel({ job, named, before, report: await reportOf(job) }));
  }

  /** Asks first when much work would be interrupted. */
  async function cancel(control) {
    const workedS = current.state === "running" ? (Date.now() - new Date(current.started_at)) / 1000 : 0;
    if (workedS > MUCH_WORK_S) {
      const text = `It has worked for ${duration(workedS)}. What is done is kept for a day, so that you can resume.`;
      if (!(await confirm({ title: "Stop this dream?", text, yes: "Stop it", no: "Keep dreaming" }))) return;
    }
    control.disabled = true;
    await attempt(() => request(`/v1/jobs/${first.id}/cancel`, { method: "POST" }), control);
  }

  async function retry(control, json) {
    control.disabled = true;
    if (await attempt(() => request(`/v1/jobs/${first.id}/retry`, { method: "POST", json }), control)) go(location.pathname, { replace: true });
  }

  async function again(control) {
    control.disabled = true;
    const complete = await recompose(first, named.cached, address);
    if (!complete) toast("The settings are loaded; add the photograph again.", "photo");
    else if (!isTerminal(current.state)) toast("The other dream goes on; it is in the gallery.");
    go("/");
  }

  function another() {
    reuseSettings(first);
    go("/");
    toast("The settings are loaded. Choose another photograph.", "photo");
  }

  async function rename() {
    const name = await ask({ title: "Rename this dream", label: "Name", value: first.name ?? named.name, yes: "Rename" });
    if (name === null) return;
    if (await attempt(() => request(`/v1/jobs/${first.id}`, { method: "PATCH", json: { name: name || null } }))) go(location.pathname, { replace: true });
  }

  async function remove() {
    const sure = await confirm({ title: "Delete this dream?", text: "The photograph, the picture and the recipe are removed for good.", yes: "Delete" });
    if (!sure) return;
    if (await attempt(() => request(`/v1/jobs/${first.id}`, { method: "DELETE" }))) {
      await deletePhoto(first.id);
      announceDeletion(first.id);
      toast("Deleted", "trash");
      go("/gallery");
    }
  }

  function gone() {
    toast("This dream was deleted.", "trash");
    go("/gallery");
  }

  async function attempt(action, control) {
    try {
      await action();
      return true;
    } catch (problem) {
      if (control) control.disabled = false;
      toast(problem.message, "alert");
      return false;
    }
  }

  show(first);
  if (!isTerminal(first.state)) {
    watchJob(first.id, {
      signal,
      onJob: (job) => {
        const ended = isTerminal(job.state) && !isTerminal(phase ?? "");
        show(job);
        if (ended) speak(job.state === "succeeded" ? "The dream is done." : `The job ended as ${job.state}.`);
      },
      onPreview: () => panel?.preview?.(),
      onConnection: (up) => panel?.setConnected?.(up),
      onDeleted: gone,
    });
  }
  onDeletion(signal, (id) => id === first.id && gone());
  return { title: named.title, node: h("article", { className: "job" }, stage, side, made), shown: () => panel?.shown?.() };
}

function titleOf(job) {
  if (job.state === "running") return `${Math.floor(job.progress.fraction * 100)} % · `;
  return job.state === "queued" ? "Waiting · " : "";
}

/** Returns the address of the photograph: on the server, or in this browser's cache. */
function beforeAddress(job, cached, signal) {
  if (job.links.input) return job.links.input;
  if (!cached?.image) return null;
  const url = URL.createObjectURL(cached.image);
  signal.addEventListener("abort", () => setTimeout(() => URL.revokeObjectURL(url), 2000));
  return url;
}

/** Returns the address of the photograph, or of the service's JPEG of one that this browser can't show, if there is one. */
async function shownPhotograph(job, address) {
  if (!address || !UNSHOWN.includes(job.input.format)) return address;
  for (const one of [address, job.links.photograph]) {
    if (one && (await isShown(one))) return one;
  }
  return null;
}

function isShown(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => true, () => false);
}
