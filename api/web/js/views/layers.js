// The layer explorer: shows the feature maps of a layer; a click on a channel dreams it.

import { get, getCached, request } from "../core/api.js";
import { speak } from "../core/announce.js";
import { asset, button, fill, h, icon, uid } from "../core/dom.js";
import { count, isTerminal } from "../core/format.js";
import { go } from "../core/router.js";
import { activePhoto, addPhotos, readPhoto } from "../dream/draft.js";
import { errorSlot } from "../settings/fields.js";
import { networkNote } from "../settings/network-note.js";
import { layerGroups } from "../settings/layer-groups.js";
import { watchJob } from "../jobs/events.js";
import { submit } from "../dream/submit.js";

export async function layersView({ query, signal }) {
  const { models, may_fetch: mayFetch } = await get("/v1/models", { signal });
  const state = { model: query.get("model") ?? models[0].name, layer: query.get("layer"), photo: activePhoto(), run: null };
  signal.addEventListener("abort", () => state.run?.abort());
  const depth = h("fieldset", { className: "depth panel" });
  const side = h("div", { className: "stack" });
  const stage = h("section", { className: "stack", "aria-live": "polite" });
  const modelId = uid("model");
  const picker = h("select", { id: modelId, onchange: () => show(picker.value) }, models.map((one) => h("option", { value: one.name }, one.ready === false ? `${one.title} (not ready)` : one.title)));
  const isServed = () => models.find((one) => one.name === state.model)?.ready !== false;

  async function show(model) {
    state.model = model;
    picker.value = model;
    const one = models.find((m) => m.name === model) ?? models[0];
    const { layers } = await getCached(one.layers_url);
    if (!layers.some((layer) => layer.name === state.layer)) state.layer = one.default_layer;
    fill(depth, h("legend", { className: "hidden" }, "Layer"), layerGroups(layers).map((group) => [h("h3", null, group.title), group.layers.map(row)]));
    choose(layers.find((layer) => layer.name === state.layer));
  }

  function row(layer) {
    const input = h("input", { type: "radio", name: "layer", value: layer.name, onchange: () => choose(layer) });
    input.checked = layer.name === state.layer;
    return h("label", null, input, h("span", { className: "ellipsis" }, layer.name), h("span", { className: "muted small num" }, `${layer.channels}`));
  }

  function choose(layer) {
    state.layer = layer.name;
    state.run?.abort();
    depth.querySelector(":checked")?.closest("label").scrollIntoView({ block: "nearest" });
    const facts = h("p", { className: "muted" }, `${count(layer.channels, "channel")}; each cell of its grid covers ${layer.stride} × ${layer.stride} pixels.`);
    const dream = h("a", { className: "button primary", href: dreamAddress() }, icon("spark"), "Dream the whole layer");
    const maps = h("div", { className: "stack" });
    fill(stage, h("div", { className: "row spread" }, h("div", null, h("h2", null, layer.name), facts), dream), channelForm(layer), maps);
    fill(maps, invitation(layer, maps));
  }

  const dreamAddress = (channel) => `/?${new URLSearchParams({ model: state.model, layer: state.layer, ...(channel === undefined ? {} : { channel }) })}`;

  function channelForm(layer) {
    const id = uid("channel");
    const slot = errorSlot();
    const input = h("input", { type: "number", id, min: 0, max: layer.channels - 1, step: 1, inputMode: "numeric", placeholder: `0 to ${layer.channels - 1}`, "aria-describedby": slot.node.id });
    const start = (event) => {
      event.preventDefault();
      const channel = Number(input.value);
      if (input.value === "" || !Number.isInteger(channel) || channel < 0 || channel >= layer.channels) {
        input.setAttribute("aria-invalid", "true");
        slot.show({ detail: `This layer has channels 0 to ${layer.channels - 1}.`, suggestion: null });
        input.focus();
        return;
      }
      go(dreamAddress(channel));
    };
    return h("form", { className: "field", noValidate: true, onsubmit: start }, h("label", { for: id, className: "label" }, "Single channel"), h("div", { className: "channel-form" }, input, h("button", { type: "submit" }, "Dream this channel")), slot.node);
  }

  /** Offers to compute the maps: nothing is submitted unasked, and nothing that no worker serves. */
  function invitation(layer, maps) {
    if (!isServed()) {
      const note = networkNote({ signal, onReady: () => go(`/layers?model=${encodeURIComponent(state.model)}`, { replace: true }) });
      note.show(models.find((one) => one.name === state.model), mayFetch);
      return h("div", { className: "empty" }, h("p", null, `The layers of ${state.model} can be shown once a worker runs it.`), note.node);
    }
    const name = state.photo?.name ?? "our sample photograph";
    return h(
      "div",
      { className: "empty" },
      h("p", { className: "wrap-anywhere" }, `Each channel responds to a different feature. Run this layer on ${name} to see where each one activates.`),
      button("Show feature maps", { icon: "eye", className: "primary", onclick: () => computeMaps(layer, maps) }),
      another(layer, maps),
    );
  }

  /** Creates the button that chooses another photograph. */
  function another(layer, maps) {
    const input = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true, "aria-label": "Another photograph", onchange: async () => {
      try {
        compose(await readPhoto(input.files[0]));
        computeMaps(layer, maps);
      } catch (error) {
        fill(maps, failure(error.message));
      }
    } });
    return [input, button("Use another photograph", { icon: "photo", className: "slim", onclick: () => input.click() })];
  }

  /** Selects the photograph here and in the composer. */
  function compose(photo) {
    state.photo = photo;
    addPhotos([photo]);
  }

  /** Runs a feature maps job on the photograph and shows its result. */
  async function computeMaps(layer, maps) {
    state.run?.abort();
    state.run = new AbortController();
    const run = state.run.signal;
    fill(maps, h("p", { className: "muted" }, "Computing feature maps …"), h("div", { className: "skeleton maps-waiting" }));
    try {
      if (!state.photo) compose(await sample());
      // Behind every dream in the queue, and canceled when the user looks at something else.
      let job = await submit(state.photo, { params: { model: state.model, layer: layer.name }, guide: null, options: { kind: "feature_maps", priority: "low" }, onProgress: () => {}, signal: run });
      run.addEventListener("abort", () => isTerminal(job.state) || request(`/v1/jobs/${job.id}/cancel`, { method: "POST" }).catch(() => {}));
      await watchJob(job.id, { signal: run, onJob: (now) => {
        job = now;
        ended(now, maps, layer);
      } });
    } catch (error) {
      if (error.name !== "AbortError") fill(maps, failure(error.message), another(layer, maps));
    }
  }

  const failure = (text) => h("div", { className: "notice bad", role: "alert" }, icon("alert"), h("p", null, text));

  async function ended(job, maps, layer) {
    if (job.state === "failed") return fill(maps, failure(job.error?.message ?? "The job failed."));
    if (job.state === "queued" && job.waiting_for) return fill(maps, h("p", { className: "muted" }, job.waiting_for));
    if (job.state !== "succeeded") return null;
    const report = await get(job.links.report);
    const cells = report.cells ?? [];
    const image = h("img", { src: job.links.result, alt: `Maps of ${count(cells.length || layer.channels, "channel")} of ${layer.name}` });
    const board = h("div", { className: "maps" }, image);
    image.addEventListener("load", () => {
      const [w, hgt] = [image.naturalWidth, image.naturalHeight];
      board.append(...cells.map((cell) => h("a", {
        className: "cell", href: dreamAddress(cell.channel), title: `Channel ${cell.channel}: dream it`, "aria-label": `Dream channel ${cell.channel}`,
        style: { left: `${(cell.x / w) * 100}%`, top: `${(cell.y / hgt) * 100}%`, width: `${(cell.width / w) * 100}%`, height: `${(cell.height / hgt) * 100}%` },
      })));
      speak(`${cells.length} channels. Choose one to dream it.`);
    });
    const data = job.links.data && h("a", { href: job.links.data, className: "button slim" }, icon("download"), "Raw data");
    return fill(maps, h("div", { className: "row spread" }, h("p", { className: "muted" }, cells.length ? "Bright areas activate a channel. Click one to dream it." : "Bright areas activate a channel."), h("div", { className: "row" }, another(layer, maps), h("a", { href: job.links.result, className: "button slim", download: `${layer.name}-maps.png` }, icon("download"), "PNG"), data)), board);
  }

  fill(side, h("div", { className: "field" }, h("label", { for: modelId, className: "label" }, "Network"), picker), depth);
  await show(state.model);
  const head = h("div", { className: "view-head" }, h("div", null, h("h1", null, "Layers"), h("p", null, "A network sees in layers: first edges and textures, then patterns, finally whole creatures. Choose what your photograph should turn into.")));
  return { title: "Layers", node: h("div", null, head, h("div", { className: "explorer" }, side, stage)), shown: () => depth.querySelector(":checked")?.closest("label").scrollIntoView({ block: "nearest" }) };
}

async function sample() {
  const blob = await (await fetch(asset("samples/cat.webp"))).blob();
  return readPhoto(new File([blob], "cat.webp", { type: "image/webp" }));
}
