// The form for parameters, built from the server's schema: the main ones visible, the rest under "Expert".

import { properties as propertiesOf } from "../core/api.js";
import { button, h } from "../core/dom.js";
import { draft } from "../dream/draft.js";
import { field, solid } from "./fields.js";
import { FIELDS, GROUPS, MAIN } from "./labels.js";
import { sizeField } from "./size.js";
import { targetsEditor } from "./targets.js";

const ELSEWHERE = new Set(["model", "layers", "scale"]);
const SIMPLE = new Set(["integer", "number", "boolean", "string"]);

function dice(set) {
  return button("Another seed", { icon: "dice", className: "icon-only", onclick: () => set(Math.floor(Math.random() * 1e6)) }, false);
}

/**
 * @param {() => void} onChange
 * @returns {Promise<{main: HTMLElement, expert: HTMLElement, fields: any[], write: () => void, update: () => void,
 *   values: () => any, defaults: Record<string, any>}>}
 */
export async function paramsForm(onChange) {
  const properties = await propertiesOf("DreamParams");
  const fields = new Map();
  const set = (name, value) => {
    if (value === undefined) delete draft.params[name];
    else draft.params[name] = value;
  };
  const changed = (name) => (value) => {
    set(name, value);
    if (name === "long_side" && value !== undefined) set("scale", undefined);
    fields.get(name)?.showError(null);
    onChange();
  };
  for (const [name, raw] of Object.entries(properties)) {
    const kind = solid(raw);
    if (ELSEWHERE.has(name) || !(kind.enum || SIMPLE.has(kind.type))) continue;
    fields.set(name, field(name, raw, { ...FIELDS[name], extra: name === "seed" ? dice : undefined }, changed(name)));
  }
  const size = sizeField((scale) => {
    set("scale", scale);
    set("long_side", undefined);
    fields.get("long_side")?.write(undefined);
    onChange();
  });
  const targets = await targetsEditor(properties, onChange);
  const known = new Set([...MAIN, ...GROUPS.flatMap(([, names]) => names)]);
  const unknown = [...fields.keys()].filter((name) => !known.has(name));
  const nodes = (names) => names.filter((name) => fields.has(name)).map((name) => fields.get(name).node);
  const group = ([title, names], index) => {
    const rest = index === GROUPS.length - 1 ? unknown : [];
    return h("section", { className: "group" }, h("h3", null, title), nodes([...names, ...rest]));
  };
  const defaults = Object.fromEntries(Object.entries(properties).map(([name, raw]) => [name, raw.default]));

  function write() {
    for (const [name, one] of fields) {
      one.write(draft.params[name] ?? undefined);
      one.showError(null);
    }
    size.update();
    targets.write();
  }
  write();
  return {
    main: h("div", { className: "stack params-main" }, nodes(MAIN), size.node),
    expert: h("div", { className: "inside" }, h("section", { className: "group" }, h("h3", null, "Network and layers"), targets.node), GROUPS.map(group)),
    fields: [...fields.values(), size, ...targets.fields],
    write,
    update: size.update,
    values: () => ({ ...defaults, ...draft.params }),
    defaults,
  };
}
