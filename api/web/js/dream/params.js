// The form for parameters, built from the server's schema: the main ones visible, the rest in a collapsed section.

import { schema } from "../core/api.js";
import { button, h } from "../core/dom.js";
import { draft } from "./draft.js";
import { field, solid } from "./fields.js";
import { targetsEditor } from "./targets.js";

/** Labels and ranges of known parameters. Parameters added to the server appear under "More settings" without an entry. */
const FIELDS = {
  iterations: { label: "Depth", range: [1, 60, 1], hint: "Ascent steps per octave. More steps give a stronger dream and take longer." },
  step_size: { label: "Intensity", range: [0.5, 10, 0.5], hint: "How far each step goes. Gentle keeps the photograph; strong lets the dream take over." },
  octaves: { label: "Octaves", range: [1, 10, 1], hint: "Number of image sizes to process, small to large. More octaves give larger shapes." },
  strength: { label: "Strength", range: [0.05, 1, 0.05], hint: "1 is the full dream; lower values blend it with the photograph." },
  color: { label: "Colors", labels: { keep: "Keep", free: "Free", original: "Original" }, hint: "Keep stays near the photograph’s colors. Free turns pastel and psychedelic. Original keeps them exactly and changes only lightness." },
  blend: { label: "Blend", range: [0, 1, 0.05] },
  octave_scale: { label: "Octave scale", range: [0.3, 0.95, 0.01] },
  seed: { label: "Seed", extra: dice },
  jitter: { label: "Jitter" },
  tile_size: { label: "Tile size" },
  scale: { label: "Scale" },
  long_side: { label: "Long side, pixels" },
  format: { label: "File format", labels: { png: "PNG", jpeg: "JPEG", webp: "WebP", png16: "PNG, 16-bit" } },
  brightness_lock: { label: "Lock brightness" },
  keep_gradients: { label: "Keep the gradients" },
};
const MAIN = ["iterations", "step_size", "octaves", "strength", "color"];
const ORDER = ["seed", "format", "scale", "long_side", "blend", "octave_scale", "brightness_lock", "jitter", "tile_size", "keep_gradients"];
const NOT_FIELDS = new Set(["model", "layers"]);
const SIMPLE = new Set(["integer", "number", "boolean", "string"]);

function dice(set) {
  return button("Another seed", { icon: "dice", className: "icon-only", onclick: () => set(Math.floor(Math.random() * 1e6)) }, false);
}

/**
 * @param {() => void} onChange
 * @returns {Promise<{main: HTMLElement, network: HTMLElement, rest: HTMLElement, fields: any[], write: () => void, values: () => any}>}
 */
export async function paramsForm(onChange) {
  const properties = (await schema("DreamParams"))?.properties ?? {};
  const fields = new Map();
  const changed = (name) => (value) => {
    if (value === undefined) delete draft.params[name];
    else draft.params[name] = value;
    draft.look = null;
    fields.get(name)?.showError(null);
    onChange();
  };
  for (const [name, raw] of Object.entries(properties)) {
    const kind = solid(raw);
    if (NOT_FIELDS.has(name) || !(kind.enum || SIMPLE.has(kind.type))) continue;
    fields.set(name, field(name, raw, FIELDS[name] ?? {}, changed(name)));
  }
  const targets = await targetsEditor(properties, () => {
    draft.look = null;
    onChange();
  });
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const others = [...fields.keys()].filter((name) => !MAIN.includes(name)).sort((a, b) => rank(a) - rank(b));
  const nodes = (names) => names.filter((name) => fields.has(name)).map((name) => fields.get(name).node);
  const defaults = Object.fromEntries(Object.entries(properties).map(([name, raw]) => [name, raw.default]));

  function write() {
    for (const [name, one] of fields) {
      one.write(draft.params[name]);
      one.showError(null);
    }
    targets.write();
  }
  write();
  return {
    main: h("div", { className: "stack params-main" }, nodes(MAIN)),
    network: targets.node,
    rest: h("div", { className: "inside" }, nodes(others)),
    fields: [...fields.values(), ...targets.fields],
    write,
    values: () => ({ ...defaults, ...draft.params }),
  };
}
