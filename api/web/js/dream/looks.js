// Looks: what the server offers as presets, or our own few where it offers none.

import { offers, once } from "../core/api.js";
import { asset, fill, h, sentence, uid } from "../core/dom.js";
import { draft } from "./draft.js";

const lite0 = (layer, more = {}) => ({ model: "efficientnet-lite0", layers: [{ layer }], ...more });
const OWN = [
  { name: "animals", title: "Animals", sentence: "Dogs, birds and their faces grow out of whatever resembles them.", params: lite0("block10_expand", { iterations: 12 }) },
  { name: "creatures", title: "Creatures", sentence: "The classic: whole beings, half dog and half bird.", params: lite0("block11_expand") },
  { name: "cities", title: "Cities and eyes", sentence: "Arches, windows and eyes, packed like an old town.", params: lite0("block8_expand", { step_size: 2.5 }) },
  { name: "machines", title: "Machines", sentence: "Buildings, cars and apparatus, large and strange.", params: lite0("block13_expand", { iterations: 12 }) },
  { name: "brushwork", title: "Brushwork", sentence: "Strokes that follow the forms, as if painted in a hurry.", params: lite0("block6_expand", { step_size: 2.5 }) },
  { name: "woven", title: "Woven", sentence: "Tiles, textiles and basketwork over every surface.", params: lite0("block4_expand", { step_size: 2.5 }) },
  { name: "folds", title: "Folds", sentence: "Fine ridges and folds, like etched glass.", params: lite0("block2_expand", { step_size: 2.5 }) },
  { name: "pastel", title: "Pastel", sentence: "Colours let go of the photograph and turn psychedelic.", params: lite0("block11_expand", { color: "free" }) },
];

/**
 * @typedef {{name: string, title: string, sentence: string, params: any, model?: string, kind?: string,
 *   source?: string | null, thumbnail?: string | null}} Look
 */

/** @returns {Promise<Look[]>} */
export async function looks() {
  if (!(await offers("/v1/presets"))) return OWN.map((look) => ({ ...look, thumbnail: `looks/${look.name}.webp` }));
  return (await once("/v1/presets")).presets;
}

/**
 * The looks to choose from: those with a thumbnail in sight, the others folded away.
 * @param {Look[]} all
 * @param {any[]} models
 * @param {() => void} onChange
 */
export function looksPicker(all, models, onChange) {
  const note = h("p", { className: "hint look-note", id: uid("look") });
  const inputs = new Map();
  const radio = (look) => {
    const input = h("input", { type: "radio", name: "look", value: look.name, onchange: () => choose(look) });
    inputs.set(look.name, input);
    return input;
  };
  const card = (look) => {
    const picture = h("img", { src: asset(look.thumbnail), alt: "", loading: "lazy", decoding: "async", width: 240, height: 180 });
    picture.addEventListener("error", () => picture.replaceWith(h("span", { className: "no-thumb" }, look.title.slice(0, 1))), { once: true });
    return h("label", { className: "look", title: look.sentence }, radio(look), picture, h("span", null, look.title));
  };
  const pill = (look) => h("label", { className: "pill", title: look.sentence }, radio(look), h("span", null, look.title));

  function choose(look) {
    draft.look = look.name;
    draft.params = structuredClone(look.params);
    update();
    onChange();
  }

  function update() {
    for (const [name, input] of inputs) input.checked = name === draft.look;
    const look = all.find((one) => one.name === draft.look);
    if (!look) return fill(note, "Your own settings. Choosing a look replaces them.");
    const model = models.find((one) => one.name === look.params.model);
    const source = look.source && [" ", h("a", { href: look.source, target: "_blank", rel: "noreferrer" }, "Where it comes from")];
    const fetched = model?.ready === false && ` Needs ${model.title}, which is fetched first.`;
    return fill(note, sentence(look.sentence ?? ""), fetched, source);
  }

  const seen = all.filter((look) => look.thumbnail);
  const others = all.filter((look) => !look.thumbnail);
  const section = (title, some) => some.length > 0 && [h("h3", { className: "looks-sub" }, title), h("div", { className: "pills" }, some.map(pill))];
  const more = others.length > 0 && h(
    "details",
    { className: "more-looks", open: others.some((look) => look.name === draft.look) },
    h("summary", null, `${others.length} more, and the classic recipes`),
    section("With other networks", others.filter((look) => look.kind !== "classic")),
    section("Classic recipes", others.filter((look) => look.kind === "classic")),
  );
  const node = h(
    "fieldset",
    { className: "looks-field", "data-path": "preset", "aria-describedby": note.id },
    h("legend", null, h("h2", null, "Pick a look")),
    h("div", { className: "looks" }, seen.map(card)),
    note,
    more,
  );
  update();
  return { node, update, choose };
}
