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

/** @returns {Promise<{name: string, title: string, sentence: string, params: any, model?: string, kind?: string, source?: string}[]>} */
export async function looks() {
  if (!(await offers("/v1/presets"))) return OWN;
  const { presets } = await once("/v1/presets");
  return presets.map((preset) => ({ ...preset, params: { ...(preset.model ? { model: preset.model } : {}), ...preset.params } }));
}

/**
 * The looks as thumbnails to choose from.
 * @param {any[]} all
 * @param {() => void} onChange
 */
export function looksPicker(all, onChange) {
  const note = h("p", { className: "hint look-note", id: uid("look") });
  const inputs = new Map();
  const card = (look) => {
    const input = h("input", { type: "radio", name: "look", value: look.name, onchange: () => choose(look) });
    inputs.set(look.name, input);
    const picture = h("img", { src: asset(`looks/${look.name}.webp`), alt: "", loading: "lazy", decoding: "async", width: 240, height: 180 });
    picture.addEventListener("error", () => picture.replaceWith(h("span", { className: "no-thumb" }, look.title.slice(0, 1))), { once: true });
    return h("label", { className: "look", title: look.sentence }, input, picture, h("span", null, look.title));
  };

  function choose(look) {
    draft.look = look.name;
    draft.params = structuredClone(look.params);
    update();
    onChange();
  }

  function update() {
    for (const [name, input] of inputs) input.checked = name === draft.look;
    const look = all.find((one) => one.name === draft.look);
    const from = look?.source ? [" ", h("span", { className: "source" }, look.source)] : [];
    fill(note, look ? [...sentence(look.sentence ?? ""), ...from] : "Your own settings. Choosing a look replaces them.");
  }

  const ours = all.filter((look) => look.kind !== "classic");
  const classics = all.filter((look) => look.kind === "classic");
  const node = h(
    "fieldset",
    { className: "looks-field", "data-path": "preset", "aria-describedby": note.id },
    h("legend", null, h("h2", null, "Pick a look")),
    h("div", { className: "looks" }, ours.map(card)),
    classics.length > 0 && [h("h3", { className: "looks-sub" }, "Classic recipes"), h("div", { className: "looks" }, classics.map(card))],
    note,
  );
  update();
  return { node, update, choose };
}
