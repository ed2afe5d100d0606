// How a dream is made: the pictures that went in, the settings, and the recipe behind a fold.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { duration, pixels } from "../core/format.js";
import { dreamSize } from "./estimate.js";
import { subject } from "./job-name.js";
import { recipeFold, recipeOf } from "./recipe.js";

const COLORS = { keep: "Near the photograph’s", free: "Free", original: "The photograph’s own" };

/**
 * @param {{job: any, named: any, before: string | null, report?: any}} options
 *   before: the photograph's address; report: of a finished job
 */
export async function madePanel({ job, named, before, report = null }) {
  const done = job.state === "succeeded";
  return [
    h("h2", null, done ? "How it was made" : "What you asked for"),
    h("div", { className: "made-row" }, thumbnails(job, before), facts(job, named, report)),
    done && (await gradients(job)),
    done && recipeFold(recipeOf(job, report)),
  ];
}

/** Shows the photograph, the mask and the guide, those that the job has. */
function thumbnails(job, before) {
  const pictures = [["Photograph", before], ["Mask", job.links.mask], ["Guide", job.links.guide]].filter(([, address]) => address);
  if (!pictures.length) return null;
  const one = ([label, address]) => {
    const image = h("img", { src: address, alt: `${label} of this dream`, loading: "lazy", decoding: "async" });
    const item = h("li", null, h("a", { href: address, target: "_blank" }, image, h("span", null, label)));
    image.addEventListener("error", () => item.remove(), { once: true }); // in a format that this browser can't show
    return item;
  };
  return h("ul", { className: "ingredients" }, pictures.map(one));
}

function facts(job, named, report) {
  const p = job.params;
  const [width, height] = dreamSize(job.input.width, job.input.height, p);
  const resized = width !== job.input.width && `, from ${pixels(job.input.width, job.input.height)}`;
  const seconds = job.started_at && job.finished_at ? (new Date(job.finished_at) - new Date(job.started_at)) / 1000 : null;
  const lines = [
    job.kind === "dream" && ["Look", named.about],
    ["Size", `${pixels(width, height)} pixels${resized || ""}`],
    "iterations" in p && ["Depth", `${p.iterations} steps at each of ${report?.octaves?.length ?? p.octaves} sizes`],
    "step_size" in p && ["Intensity", String(p.step_size)],
    "color" in p && ["Colors", COLORS[p.color] ?? p.color],
    ["Network", p.model],
    ["Layers", subject(job)],
    "seed" in p && ["Seed", String(p.seed)],
    seconds !== null && ["Took", duration(seconds)],
  ].filter(Boolean);
  return h("dl", { className: "facts" }, lines.map(([term, value]) => h("div", null, h("dt", null, term), h("dd", null, value))));
}

/** Shows the gradient images of a job with `keep_gradients`. */
async function gradients(job) {
  if (!job.links.gradients) return null;
  const { gradients: list } = await get(job.links.gradients).catch(() => ({ gradients: [] }));
  if (!list.length) return null;
  const one = ({ octave, url }) => h("li", null, h("a", { href: url, target: "_blank" }, h("img", { src: url, alt: `Gradient of octave ${octave + 1}`, loading: "lazy" })));
  return h("section", { className: "stack", "aria-label": "Gradients" }, h("h3", null, "Gradients"), h("p", { className: "hint" }, "What pulled at the picture in each size."), h("ul", { className: "gradients" }, list.map(one)));
}
