// The recipe of a result, to read and to copy.

import { toast } from "../core/announce.js";
import { button, h } from "../core/dom.js";

/** Returns what is needed to reproduce the result. */
export function recipeOf(job, report) {
  const source = report?.recipe ?? report;
  if (!source) return { kind: job.kind, params: job.params };
  const { params, model, weights, versions, seed, input } = source;
  const recipe = { kind: job.kind, params: params ?? job.params, model, weights, versions, seed, input };
  for (const key of Object.keys(recipe)) if (recipe[key] === undefined) delete recipe[key];
  return recipe;
}

/** Creates the collapsed section with the recipe as JSON. */
export function recipeFold(recipe) {
  const text = JSON.stringify(recipe, null, 2);
  return h(
    "details",
    { className: "fold" },
    h("summary", null, "Recipe", h("span", { className: "muted ellipsis" }, "everything as JSON, to repeat it exactly")),
    h(
      "div",
      { className: "inside" },
      h("div", null, button("Copy", { icon: "copy", className: "slim", onclick: () => copy(text, "Recipe copied") })),
      h("div", { className: "recipe" }, h("pre", { tabIndex: 0, "aria-label": "Recipe as JSON" }, text)),
    ),
  );
}

/** Copies to the clipboard, even where the page is served without TLS. */
export async function copy(text, message) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { value: text, className: "hidden" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(message, "copy");
}
