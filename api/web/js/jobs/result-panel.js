// An ended job: the comparison with its photograph, and what can be done next.

import { get } from "../core/api.js";
import { button, fill, h, icon, uid } from "../core/dom.js";
import { comparison } from "./compare.js";
import { downloadButtons } from "./download.js";
import { copy } from "./recipe.js";

const DAY_MS = 86_400_000;
const DEADLINES = [["No deadline", ""], ["In one hour", "3600"], ["In eight hours", "28800"], ["In one day", "86400"]];

/** Shows the result, or the photograph of an unsuccessful job, on the stage. */
export function resultStage({ job, before, stage, width, height }) {
  if (job.state === "succeeded") {
    const shown = comparison({ before: job.kind === "dream" ? before : null, after: job.links.result, width, height, stage });
    fill(stage, h("div", { className: "blank" }, h("div", { className: "skeleton" })), shown.nodes);
    shown.loaded.then(() => stage.querySelector(".blank")?.remove()).catch(() => {
      fill(stage, h("div", { className: "blank" }, h("p", null, "The image could not be loaded. Reload the page to try again.")));
    });
    return { close: shown.close };
  }
  const picture = before ?? (job.links.preview && job.state !== "expired" ? job.links.preview : null);
  fill(stage, picture ? h("div", { className: "preview" }, h("img", { src: picture, alt: "The photograph", className: "waiting" })) : h("div", { className: "blank" }, icon("photo")));
  return { close: () => {} };
}

/** Loads the report of a finished job; null without one. */
export function reportOf(job) {
  return job.links.report ? get(job.links.report).catch(() => null) : null;
}

/** Creates the panel with what happened and what can be done next. */
export function resultPanel({ job, name, actions }) {
  const again = button("Change and dream again", { icon: "sliders", className: "wide", onclick: (event) => actions.again(event.currentTarget) });
  const another = button("Same dream, another photograph", { icon: "photo", className: "wide", onclick: (event) => actions.another(event.currentTarget) });
  const remove = button("Delete", { icon: "trash", className: "danger half", onclick: () => actions.remove() });
  if (job.state !== "succeeded") {
    return [reason(job), job.links.retry && retryForm(job, actions), h("div", { className: "actions" }, again, another, remove)].filter(Boolean);
  }
  const share = button("Copy the link", { icon: "link", className: "half", onclick: () => copy(location.href, "Link copied. Anyone with access to this server can open it.") });
  return [h("div", { className: "actions" }, downloadButtons(job, name), again, another, share, remove)];
}

const isPastDeadline = (job) => Boolean(job.deadline_at) && new Date(job.deadline_at) <= Date.now();
const isKept = (job) => job.state === "failed" || Date.now() - new Date(job.finished_at) < DAY_MS;

/** Creates the button that takes the job up again; after a missed deadline, with the choice of another one. */
function retryForm(job, actions) {
  const label = job.state === "canceled" ? (isKept(job) && job.started_at ? "Resume" : "Start again") : "Try again";
  const late = isPastDeadline(job);
  const id = uid("deadline");
  const deadline = h("select", { id }, DEADLINES.map(([text, value]) => h("option", { value }, text)));
  const start = button(label, { icon: "again", className: "primary large", onclick: (event) => {
    const seconds = deadline.value === "" ? null : Number(deadline.value);
    actions.retry(event.currentTarget, late ? { deadline_s: seconds } : undefined);
  } });
  return h("div", { className: "stack" }, late && h("div", { className: "field" }, h("label", { for: id, className: "label" }, "New deadline"), deadline), start);
}

function reason(job) {
  const percent = Math.floor(job.progress.fraction * 100);
  if (job.state === "failed") {
    const resumes = job.links.retry && h("p", { className: "small muted" }, "Trying again goes on where it stopped.");
    return h("div", { className: "notice bad", role: "alert" }, icon("alert"), h("div", null, h("h2", null, "The dream failed"), h("p", null, job.error?.message ?? "The worker gave no reason."), resumes));
  }
  const text = {
    canceled: !job.started_at ? "Stopped before it began." : isKept(job) ? `Stopped at ${percent} %. What is done is kept for a day: resume to go on from there.` : "Stopped before it was finished. It can start again from the beginning.",
    expired: "This dream is past its time here, and its pictures were removed. Its settings are still available.",
  };
  return h("div", { className: "notice" }, icon("clock"), h("p", null, text[job.state]));
}
