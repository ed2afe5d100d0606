// The picker for looks, which are the presets.

import { getCached } from "../core/api.js";
import { asset, button, fill, h, sentence, uid } from "../core/dom.js";
import { difference } from "./difference.js";
import { changedSince, draft, takeLook } from "../dream/draft.js";
import { networkNote } from "./network-note.js";

/**
 * @typedef {{name: string, title: string, sentence: string, params: any, model?: string, kind?: string,
 *   source?: string | null, thumbnail?: string | null, availability?: string | null}} Look
 */

/** @returns {Promise<Look[]>} */
export async function looks() {
  return (await getCached("/v1/presets")).presets;
}

const MOST_CARDS = 8; // two rows: depth, intensity and size stay in sight

const isServed = (look) => !look.availability || look.availability === "ready";

/**
 * Returns the looks that are shown at first: those that a worker can run now, else those of the default network.
 * @param {Look[]} all
 * @param {Record<string, any>} defaults of the parameters
 */
function shownFirst(all, defaults) {
  const pictured = all.filter((look) => look.thumbnail && look.kind !== "classic");
  const served = pictured.filter(isServed);
  const first = served.length > 0 ? served : pictured.filter((look) => (look.params.model ?? defaults.model) === defaults.model);
  return first.slice(0, MOST_CARDS);
}

/**
 * Creates the picker: the first looks as cards, the others in a collapsed section, paler where no worker can run them.
 * @param {Look[]} all
 * @param {{models: any[], may_fetch: boolean}} networks
 * @param {Record<string, any>} defaults of the parameters
 * @param {{onChange: () => void, signal: AbortSignal}} options
 */
export function looksPicker(all, { models, may_fetch: mayFetch }, defaults, { onChange, signal }) {
  const network = networkNote({ signal, onReady: (name) => {
    models.find((one) => one.name === name).availability = "ready";
    onChange();
  } });
  const note = h("p", { className: "hint look-note", id: uid("look"), "aria-live": "polite" });
  const inputs = new Map();
  const radio = (look) => {
    const input = h("input", { type: "radio", name: "look", value: look.name, onchange: () => choose(look) });
    inputs.set(look.name, input);
    return input;
  };
  const card = (look) => {
    const picture = h("img", { src: asset(look.thumbnail), alt: "", loading: "lazy", decoding: "async", width: 240, height: 180 });
    picture.addEventListener("error", () => picture.replaceWith(h("span", { className: "no-thumb" }, look.title.slice(0, 1))), { once: true });
    return h("label", { className: isServed(look) ? "look" : "look unserved", title: look.sentence }, radio(look), picture, h("span", null, look.title));
  };
  const pill = (look) => h("label", { className: isServed(look) ? "pill" : "pill unserved", title: look.sentence }, radio(look), h("span", null, look.title));

  function choose(look) {
    takeLook(look);
    update();
    onChange();
  }

  function update() {
    for (const [name, input] of inputs) input.checked = name === draft.look;
    network.show(models.find((one) => one.name === (draft.params.model ?? defaults.model)), mayFetch);
    const look = all.find((one) => one.name === draft.look);
    if (!look) return fill(note, "Your own settings. Choosing a look replaces them.");
    const differs = difference(changedSince(look, defaults), { ...defaults, ...draft.params }, look, defaults);
    if (differs) return fill(note, `${look.title}${differs}. `, button("Undo the changes", { className: "link", onclick: () => choose(look) }));
    const source = look.source && [" ", h("a", { href: look.source, target: "_blank", rel: "noreferrer" }, "Source")];
    return fill(note, sentence(look.sentence ?? ""), source);
  }

  const cards = shownFirst(all, defaults);
  const others = all.filter((look) => !cards.includes(look));
  const pictured = others.filter((look) => look.thumbnail && look.kind !== "classic");
  const section = (title, kind, some, one) => some.length > 0 && [h("h3", { className: "looks-sub" }, title), h("div", { className: kind }, some.map(one))];
  const more = others.length > 0 && h(
    "details",
    { className: "more-looks", open: others.some((look) => look.name === draft.look) },
    h("summary", null, `${others.length} more, and the classic recipes`),
    section("More looks", "looks", pictured, card),
    section("With other networks", "pills", others.filter((look) => !look.thumbnail && look.kind !== "classic"), pill),
    section("Classic recipes", "pills", others.filter((look) => look.kind === "classic"), pill),
  );
  const node = h(
    "fieldset",
    { className: "looks-field", "data-path": "preset", "aria-describedby": note.id },
    h("legend", null, h("h2", null, "Pick a look")),
    h("div", { className: "looks" }, cards.map(card)),
    note,
    network.node,
    more,
  );
  update();
  return { node, update, choose };
}
