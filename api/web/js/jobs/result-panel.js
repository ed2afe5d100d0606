// An ended job: the comparison with its photograph, actions, facts and recipe.

import { get, schema } from "../core/api.js";
import { button, fill, h, icon } from "../core/dom.js";
import { duration, pixels, speed } from "../core/format.js";
import { comparison } from "./compare.js";
import { downloadButtons } from "./download.js";
import { pixelSteps } from "./estimate.js";
import { subject } from "./job-name.js";
import { copy, recipeOf, recipePanel } from "./recipe.js";

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

/** Creates the panel with actions and facts. */
export async function resultPanel({ job, name, actions }) {
  const again = button("Dream again", { icon: "sliders", className: "half", onclick: (event) => actions.again(event.currentTarget) });
  const remove = button("Delete", { icon: "trash", className: "danger half", onclick: () => actions.remove() });
  if (job.state !== "succeeded") {
    const retry = job.links.retry && button("Try again", { icon: "again", className: "primary large wide", onclick: (event) => actions.retry(event.currentTarget) });
    return [reason(job), h("div", { className: "actions" }, retry, again, remove)];
  }
  const report = job.links.report ? await get(job.links.report).catch(() => null) : null;
  const share = button("Copy the link", { icon: "link", className: "half", onclick: () => copy(location.href, "Link copied. Anyone with access to this server can open it.") });
  return [
    h("div", { className: "actions" }, downloadButtons(job, name), again, share, remove),
    h("section", { className: "stack", "aria-label": "Facts" }, h("h2", null, "How it was made"), await facts(job, report)),
    await gradients(job),
    recipePanel(recipeOf(job, report)),
  ].filter(Boolean);
}

/** Shows the gradient images of a job with `keep_gradients`. */
async function gradients(job) {
  if (!job.links.gradients) return null;
  const { gradients: list } = await get(job.links.gradients).catch(() => ({ gradients: [] }));
  if (!list.length) return null;
  const one = ({ octave, url }) => h("li", null, h("a", { href: url, target: "_blank" }, h("img", { src: url, alt: `Gradient of octave ${octave + 1}`, loading: "lazy" })));
  return h("section", { className: "stack", "aria-label": "Gradients" }, h("h2", null, "Gradients"), h("p", { className: "hint" }, "The gradient that changed the image in each octave."), h("ul", { className: "gradients" }, list.map(one)));
}

function reason(job) {
  if (job.state === "failed") {
    return h("div", { className: "notice bad", role: "alert" }, icon("alert"), h("div", null, h("h2", null, "The job failed"), h("p", null, job.error?.message ?? "The worker gave no reason."), job.links.retry && h("p", { className: "small muted" }, "Trying again resumes from the last checkpoint.")));
  }
  const text = { canceled: "The job was canceled before it finished. Its photograph and settings are still available.", expired: "The job is past its retention time, and its images were removed. Its settings are still available." };
  return h("div", { className: "notice" }, icon("clock"), h("p", null, text[job.state]));
}

async function facts(job, report) {
  const names = (await schema("DreamParams").catch(() => null))?.properties ?? {};
  const p = job.params;
  const seconds = job.started_at && job.finished_at ? (new Date(job.finished_at) - new Date(job.started_at)) / 1000 : null;
  const steps = job.kind === "dream" ? pixelSteps(job.input.width, job.input.height, p) : null;
  const lines = [
    ["Size", `${job.input.width} × ${job.input.height}, ${pixels(job.input.width * job.input.height)}`],
    ["Network", p.model],
    ["Layers", subject(job)],
    "octaves" in p && ["Octaves", `${report?.octaves?.length ?? p.octaves} at ${p.octave_scale}`],
    "iterations" in p && ["Depth", `${p.iterations} steps of ${p.step_size}`],
    "color" in p && "color" in names && ["Colors", { keep: "kept", free: "free", original: "original" }[p.color] ?? p.color],
    "seed" in p && ["Seed", String(p.seed)],
    seconds !== null && ["Took", `${duration(seconds)}${steps && seconds >= 0.5 ? `, ${speed(steps / seconds)}` : ""}`],
  ].filter(Boolean);
  return h("dl", { className: "facts" }, lines.map(([term, value]) => [h("dt", null, term), h("dd", null, value)]));
}
