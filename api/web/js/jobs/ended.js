// After it ended: the picture with its photograph, what can be done with it, and how it was made.

import { get, schema } from "../core/api.js";
import { button, fill, h, icon } from "../core/dom.js";
import { duration, pixels, speed } from "../core/format.js";
import { comparison } from "./compare.js";
import { downloadButtons } from "./download.js";
import { pixelSteps } from "./estimate.js";
import { subject } from "./naming.js";
import { copy, recipeOf, recipePanel } from "./recipe.js";

/** The stage of an ended job. */
export function resultStage({ job, before, stage, width, height }) {
  if (job.state === "succeeded") {
    const shown = comparison({ before: job.kind === "dream" ? before : null, after: job.links.result, width, height, stage });
    fill(stage, h("div", { className: "blank" }, h("div", { className: "skeleton" })), shown.nodes);
    shown.loaded.then(() => stage.querySelector(".blank")?.remove()).catch(() => {
      fill(stage, h("div", { className: "blank" }, h("p", null, "The picture could not be loaded. Reload the page to try again.")));
    });
    return { close: shown.close };
  }
  const picture = before ?? (job.links.preview && job.state !== "expired" ? job.links.preview : null);
  fill(stage, picture ? h("div", { className: "forming" }, h("img", { src: picture, alt: "The photograph", className: "waiting" })) : h("div", { className: "blank" }, icon("photo")));
  return { close: () => {} };
}

/** What stands beside it. */
export async function endedPanel({ job, name, actions }) {
  const again = button("Dream again", { icon: "sliders", className: "half", onclick: (event) => actions.again(event.currentTarget) });
  const remove = button("Delete", { icon: "trash", className: "danger half", onclick: () => actions.remove() });
  if (job.state !== "succeeded") {
    const retry = job.links.retry && button("Try again", { icon: "again", className: "primary large wide", onclick: (event) => actions.retry(event.currentTarget) });
    return [reason(job), h("div", { className: "actions" }, retry, again, remove)];
  }
  const report = job.links.report ? await get(job.links.report).catch(() => null) : null;
  const share = button("Copy the link", { icon: "link", className: "half", onclick: () => copy(location.href, "Link copied. Whoever has access here can open it.") });
  return [
    h("div", { className: "actions" }, downloadButtons(job, name), again, share, remove),
    h("section", { className: "stack", "aria-label": "Facts" }, h("h2", null, "How it was made"), await facts(job, report)),
    await gradients(job),
    recipePanel(recipeOf(job, report)),
  ].filter(Boolean);
}

/** What pulled at each octave, where the job was asked to keep it. */
async function gradients(job) {
  if (!job.links.gradients) return null;
  const { gradients: kept } = await get(job.links.gradients).catch(() => ({ gradients: [] }));
  if (!kept.length) return null;
  const one = ({ octave, url }) => h("li", null, h("a", { href: url, target: "_blank" }, h("img", { src: url, alt: `Gradient of octave ${octave + 1}`, loading: "lazy" })));
  return h("section", { className: "stack", "aria-label": "Gradients" }, h("h2", null, "Gradients"), h("p", { className: "hint" }, "What pulled at the picture, octave by octave."), h("ul", { className: "gradients" }, kept.map(one)));
}

function reason(job) {
  if (job.state === "failed") {
    return h("div", { className: "notice bad", role: "alert" }, icon("alert"), h("div", null, h("h2", null, "The dream failed"), h("p", null, job.error?.message ?? "The worker gave no reason."), job.links.retry && h("p", { className: "small muted" }, "Trying again goes on from its last checkpoint.")));
  }
  const text = { canceled: "It was canceled before it was done. The photograph and the settings are still there.", expired: "It is past its retention time, and its picture was removed. The settings are still there." };
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
    ["Sees", subject(job)],
    "octaves" in p && ["Octaves", `${report?.octaves?.length ?? p.octaves} at ${p.octave_scale}`],
    "iterations" in p && ["Depth", `${p.iterations} steps of ${p.step_size}`],
    "color" in p && "color" in names && ["Colours", { keep: "kept", free: "set free", original: "the photograph’s own" }[p.color] ?? p.color],
    "seed" in p && ["Seed", String(p.seed)],
    seconds !== null && ["Took", `${duration(seconds)}${steps && seconds >= 0.5 ? `, ${speed(steps / seconds)}` : ""}`],
  ].filter(Boolean);
  return h("dl", { className: "facts" }, lines.map(([term, value]) => [h("dt", null, term), h("dd", null, value)]));
}
