// Download buttons, one per format.

import { toast } from "../core/announce.js";
import { fill, h, icon } from "../core/dom.js";

const NAMES = { png16: "PNG, 16-bit" };
const FORMATS = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" };

/** @param {any} job */
export function downloadButtons(job, name) {
  const own = job.params.format ?? "png";
  const others = Object.keys(FORMATS).filter((format) => format !== own.replace("16", ""));
  const stem = name.replace(/\.[^.]*$/, "").slice(0, 80);
  const other = (format) => {
    const label = format.toUpperCase();
    const props = { className: "button format", "aria-label": `Download as ${label}` };
    const control = h("button", { ...props, type: "button", onclick: () => convert(control, job.links.result, format, stem) }, label);
    return control;
  };
  return h(
    "div",
    { className: "download" },
    h("a", { className: "button primary large", href: job.links.result, download: `${stem}-dream.${own === "png16" ? "png" : own}` }, icon("download"), `Download ${NAMES[own] ?? own.toUpperCase()}`),
    others.map(other),
  );
}

/** Converts the result in the browser: the server has only the format of the job's parameters. */
async function convert(control, address, format, stem) {
  const label = control.textContent;
  control.disabled = true;
  fill(control, "…");
  try {
    const picture = await createImageBitmap(await (await fetch(address)).blob());
    const canvas = h("canvas", { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, FORMATS[format], 0.93));
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: `${stem}-dream.${format === "jpeg" ? "jpg" : format}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch {
    toast(`This browser can't convert to ${label}; download the original format instead.`, "alert");
  } finally {
    control.disabled = false;
    fill(control, label);
  }
}
