// The octaves as growing frames that fill with progress.

import { fill, h } from "../core/dom.js";
import { dreamSize, octaveSizes } from "./estimate.js";

const MAX_HEIGHT_PX = 76;
const MIN_SIZE_PX = 7;

/**
 * @param {any} job
 * @returns {{node: HTMLElement, update: (job: any) => void}}
 */
export function octaveLadder(job) {
  const node = h("ol", { className: "ladder", "aria-hidden": "true" });
  let drawn = "";

  function draw(current) {
    const { octaves } = current.progress;
    const [width, height] = dreamSize(current.input.width, current.input.height, current.params);
    let sizes = octaveSizes(width, height, current.params);
    if (octaves) sizes = sizes.slice(-octaves);
    const [largestW, largestH] = sizes.at(-1);
    const unit = MAX_HEIGHT_PX / Math.max(largestH, largestW * 0.62);
    const key = sizes.join(";");
    if (key === drawn) return;
    drawn = key;
    fill(
      node,
      sizes.map(([w, hgt], index) =>
        h(
          "li",
          { title: `Size ${index + 1}: ${w} × ${hgt}` },
          h(
            "span",
            { className: "frame", style: { width: `${Math.max(MIN_SIZE_PX, w * unit)}px`, height: `${Math.max(MIN_SIZE_PX, hgt * unit)}px` } },
            h("i"),
          ),
          h("b", null, String(index + 1)),
        ),
      ),
    );
  }

  function update(current) {
    draw(current);
    const { octave, iteration, iterations } = current.progress;
    const done = current.state === "succeeded";
    [...node.children].forEach((item, index) => {
      const share = done || index < octave ? 1 : index === octave && iterations ? iteration / iterations : 0;
      item.querySelector("i").style.setProperty("height", `${share * 100}%`);
      item.classList.toggle("now", !done && current.state === "running" && index === octave);
    });
  }

  update(job);
  return { node, update };
}

/** "Size 2 of 5, step 4 of 10: large shapes come first, on a small picture." */
export function progressText({ octave, octaves, iteration, iterations }) {
  if (!octaves) return "Starting";
  const why = octaves > 1 ? ": large shapes come first, on a small picture." : "";
  return `Size ${octave + 1} of ${octaves}, step ${Math.min(iteration + 1, iterations)} of ${iterations}${why}`;
}
