// The editor for targets: a network, and one or more of its layers with channels and weights.

import { getCached } from "../core/api.js";
import { button, fill, h, uid } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { draft } from "../dream/draft.js";
import { errorSlot } from "./fields.js";
import { layerGroups } from "./layer-groups.js";

/** Creates the options for a network's layers, from texture to objects. */
function layerOptions(layers) {
  return layerGroups(layers).map((group) => h("optgroup", { label: group.title }, group.layers.map((layer) => h("option", { value: layer.name }, `${layer.name} · ${layer.channels} channels`))));
}

/** Parses "12, 40-43" to [12, 40, 41, 42, 43], empty text to null. Throws Error with a message for the user. */
function parseChannels(text) {
  const trimmed = text.trim();
  if (!trimmed) return null;
  const found = new Set();
  for (const part of trimmed.split(/[\s,;]+/).filter(Boolean)) {
    const match = part.match(/^(\d+)(?:-(\d+))?$/);
    if (!match) throw new Error(`“${part}” is not a channel; write numbers such as 12, 40-43.`);
    const [low, high] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (high - low > 4096) throw new Error("At most 4096 channels.");
    for (let channel = low; channel <= high; channel += 1) found.add(channel);
  }
  return [...found];
}

export async function targetsEditor(properties, onChange) {
  const { models } = await getCached("/v1/models");
  const list = h("div", { className: "stack targets" });
  const modelSlot = errorSlot();
  const modelId = uid("model");
  const model = h(
    "select",
    { id: modelId, "aria-describedby": modelSlot.node.id, onchange: () => pickModel(model.value) },
    models.map((one) => h("option", { value: one.name }, one.ready === false ? `${one.title} (not ready)` : one.title)),
  );
  const about = h("p", { className: "hint" });
  const rows = [];
  let layers = [];

  const name = () => draft.params.model ?? properties.model?.default ?? models[0]?.name;
  const chosen = () => models.find((one) => one.name === name());

  async function pickModel(value) {
    draft.params.model = value;
    delete draft.params.layers;
    modelField.showError(null);
    onChange();
    await write();
  }

  function store() {
    draft.params.layers = rows.map((row) => row.value());
    onChange();
  }

  function add(target) {
    const row = targetRow(target, layers, rows.length, {
      onChange: store,
      onRemove: () => {
        rows.splice(rows.indexOf(row), 1);
        row.node.remove();
        store();
        renumber();
      },
    });
    rows.push(row);
    list.append(row.node);
    renumber();
  }

  const renumber = () => rows.forEach((row, index) => row.number(index, rows.length));

  async function write() {
    model.value = name();
    const now = chosen();
    fill(about, now ? `${now.license}, ${bytes(now.size_bytes)}. Early layers amplify textures, late layers amplify objects.` : "");
    layers = now ? (await getCached(now.layers_url)).layers : [];
    rows.length = 0;
    fill(list);
    for (const target of draft.params.layers ?? [{ layer: now?.default_layer }]) add(target);
  }

  const modelField = {
    path: "params.model",
    node: model,
    focus: () => model.focus(),
    showError(fieldError) {
      if (fieldError) model.setAttribute("aria-invalid", "true");
      else model.removeAttribute("aria-invalid");
      modelSlot.show(fieldError, pickModel);
    },
  };
  const layersField = {
    path: "params.layers",
    node: list,
    focus: () => rows[0]?.focus(),
    showError(fieldError, path = "") {
      const index = Number(path.split(".")[2]);
      rows.forEach((row, i) => row.showError(fieldError && i === (index || 0) ? fieldError : null));
    },
  };
  const node = h(
    "div",
    { className: "inside" },
    h("div", { className: "field", "data-path": "params.model" }, h("label", { for: modelId, className: "label" }, "Network"), model, about, modelSlot.node),
    h("div", { className: "field", "data-path": "params.layers" }, h("span", { className: "label" }, "Layers"), list),
    h(
      "div",
      { className: "row" },
      button("Add a layer", { icon: "plus", className: "slim", onclick: () => {
        add({ layer: chosen()?.default_layer });
        store();
      } }),
      h("a", { href: "/layers", className: "small" }, "Explore layers"),
    ),
  );
  await write();
  return { node, fields: [modelField, layersField], write };
}

function targetRow(target, layers, at, { onChange, onRemove }) {
  const slot = errorSlot();
  const ids = { layer: uid("layer"), channels: uid("channels"), weight: uid("weight") };
  const layer = h("select", { id: ids.layer, "aria-describedby": slot.node.id, onchange: () => changed() }, layerOptions(layers));
  layer.value = target.layer;
  const channels = h("input", { type: "text", id: ids.channels, placeholder: "All", value: target.channels?.join(", ") ?? "", "aria-describedby": slot.node.id, oninput: () => changed() });
  const weight = h("input", { type: "number", step: "any", id: ids.weight, value: target.weight ?? 1, oninput: () => changed() });
  const remove = button("Remove this layer", { icon: "close", className: "quiet icon-only slim", onclick: onRemove }, false);
  const legend = h("legend", { className: "hidden" }, `Layer ${at + 1}`);
  let last = target.channels ?? null;

  function changed() {
    showError(null);
    try {
      last = parseChannels(channels.value);
    } catch (error) {
      showError({ detail: error.message, suggestion: null }, channels);
      return;
    }
    onChange();
  }

  function showError(fieldError, control = layer) {
    for (const one of [layer, channels]) one.removeAttribute("aria-invalid");
    if (fieldError) control.setAttribute("aria-invalid", "true");
    slot.show(fieldError, (suggestion) => {
      if (layers.some((one) => one.name === suggestion)) layer.value = suggestion;
      else channels.value = suggestion;
      changed();
    });
  }

  const node = h(
    "fieldset",
    { className: "target" },
    legend,
    h("div", { className: "target-layer" }, h("label", { for: ids.layer, className: "hidden" }, "Layer"), layer, remove),
    h("div", { className: "target-more" }, h("label", { for: ids.channels }, "Channels"), channels, h("label", { for: ids.weight }, "Weight"), weight),
    slot.node,
  );
  return {
    node,
    value: () => ({ layer: layer.value, channels: last, weight: weight.value === "" ? 1 : Number(weight.value) }),
    number(index, count) {
      legend.textContent = `Layer ${index + 1}`;
      remove.hidden = count === 1;
    },
    showError,
    focus: () => layer.focus(),
  };
}
