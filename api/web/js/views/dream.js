// The composer: photographs, look, parameters and time estimate.

import { get } from "../core/api.js";
import { toast } from "../core/announce.js";
import { h } from "../core/dom.js";
import { go } from "../core/router.js";
import { activePhoto, draft, paramsToSend, takeLook } from "../dream/draft.js";
import { keepDraft, restoreDraft } from "../dream/draft-store.js";
import { estimateLine } from "../dream/estimate-line.js";
import { guideField } from "../dream/guide.js";
import { launcher } from "../dream/launch.js";
import { looks, looksPicker } from "../settings/looks.js";
import { paramsForm } from "../settings/params.js";
import { photoStage } from "../dream/photos.js";

export async function dreamView({ query, signal }) {
  const [all, networks] = await Promise.all([looks(), get("/v1/models", { signal }), restoreDraft()]);
  if (query.has("layer")) startFromLayer(query);
  else if (!draft.look && !Object.keys(draft.params).length && all[0]) takeLook(all[0]);

  const estimate = estimateLine(() => form.values(), networks.models, signal);
  const form = await paramsForm(() => {
    picker.update();
    changed();
  });
  const picker = looksPicker(all, networks, form.defaults, {
    signal,
    onChange: () => {
      form.write();
      changed();
    },
  });
  const stage = photoStage({ signal, onChange: changed });
  const guide = guideField(changed);
  const fields = [...form.fields, guide, { path: "image", showError: stage.showError, focus: stage.focus }];
  const launch = launcher({
    signal,
    what: () => {
      const look = all.find((one) => one.name === draft.look);
      const options = look ? { ...draft.options, preset: look.name } : draft.options;
      return { params: paramsToSend(look, form.defaults), options };
    },
    onRefused: (problem) => {
      stage.draw();
      showError(problem);
    },
    onStarted: (jobs) => {
      if (jobs.length === 1) return go(`/jobs/${jobs[0].id}`);
      toast(`${jobs.length} dreams are in the queue`);
      return go("/gallery");
    },
  });

  function changed() {
    launch.changed();
    keepDraft();
    refresh();
  }

  function refresh() {
    launch.draw();
    form.update();
    estimate.update();
  }

  function start(event) {
    event.preventDefault();
    launch.clear();
    for (const one of fields) one.showError(null);
    if (draft.photos.length) return launch.send();
    launch.say(h("p", null, "Not started: there is no photograph yet."));
    stage.showError({ detail: "Choose a photograph first.", suggestion: null });
    stage.node.scrollIntoView({ block: "nearest" });
    return stage.focus();
  }

  /** Shows each error at its field, opens the fold that it is in, and focuses the first one. */
  function showError(problem) {
    let first = null;
    for (const fieldError of problem.fieldErrors ?? []) {
      const path = fieldError.path ?? "";
      const field = fields.find((one) => path === one.path || path.startsWith(`${one.path}.`)) ?? (isAboutTheImage(problem) ? fields.at(-1) : null);
      if (!field) continue;
      field.showError(fieldError, path);
      first ??= field;
    }
    first?.node?.closest("details")?.setAttribute("open", "");
    first?.focus();
  }

  const expert = h("details", { className: "fold expert" }, h("summary", null, "Expert", h("span", { className: "muted ellipsis" }, "colors, layers, file format")), form.expert);
  const node = h(
    "form",
    { className: "composer", noValidate: true, onsubmit: start },
    h("h1", { className: "hidden" }, "Dream on a photograph"),
    h("div", { className: "stage-column" }, stage.node, guide.node),
    h(
      "div",
      { className: "controls" },
      picker.node,
      h("section", { "aria-label": "Settings" }, form.main),
      expert,
      h("div", { className: "launch" }, estimate.node, launch.nodes),
    ),
  );
  refresh();
  get("/readyz").catch((problem) => problem.status === 503 && estimate.warn("No worker is running; the dream waits until one starts."));
  return { title: activePhoto() ? "Compose" : "", node };
}

/** Starts from the layer explorer's link: `?model=…&layer=…&channel=…`. */
function startFromLayer(query) {
  const channel = query.get("channel");
  draft.look = null;
  draft.params = { model: query.get("model"), layers: [{ layer: query.get("layer"), channels: channel === null ? null : [Number(channel)], weight: 1 }] };
  keepDraft();
  history.replaceState(null, "", "/");
}

function isAboutTheImage(problem) {
  return /image|picture|request_too_large/.test(problem.code ?? "") || problem.status === 413 || problem.status === 415;
}
