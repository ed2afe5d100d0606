// The composer: photographs, look, parameters and time estimate.

import { get, getCached } from "../core/api.js";
import { speak, toast } from "../core/announce.js";
import { fill, h, icon } from "../core/dom.js";
import { count } from "../core/format.js";
import { go } from "../core/router.js";
import { activePhoto, draft, removePhoto } from "../dream/draft.js";
import { estimateLine } from "../dream/estimate-line.js";
import { guideField } from "../dream/guide.js";
import { looks, looksPicker } from "../dream/looks.js";
import { paramsForm } from "../dream/params.js";
import { photoStage } from "../dream/photos.js";
import { submit } from "../dream/submit.js";

export async function dreamView({ query, signal }) {
  const [all, { models }] = await Promise.all([looks(), getCached("/v1/models")]);
  if (query.has("layer")) startFromLayer(query);
  else if (!draft.look && !Object.keys(draft.params).length && all[0]) {
    draft.look = all[0].name;
    draft.base = draft.look;
    draft.params = structuredClone(all[0].params);
  }

  const send = h("button", { type: "submit", className: "primary large" });
  const meter = h("div", { className: "meter", hidden: true, role: "progressbar", "aria-label": "Sending", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i"));
  const general = h("div", { className: "notice bad", hidden: true, role: "alert" });
  const estimate = estimateLine(() => form.values(), signal);
  const changed = () => {
    picker.update();
    refresh();
  };
  const form = await paramsForm(changed);
  const picker = looksPicker(all, models, () => {
    form.write();
    refresh();
  });
  const stage = photoStage({ signal, onChange: refresh });
  const guide = guideField(refresh);
  const fields = [...form.fields, guide, { path: "image", showError: stage.showError, focus: stage.focus }];

  function refresh() {
    const photos = draft.photos.length;
    fill(send, icon("spark"), photos > 1 ? `Dream ${count(photos, "photograph")}` : "Start dreaming");
    estimate.update();
  }

  async function start(event) {
    event.preventDefault();
    clear();
    if (!draft.photos.length) {
      stage.showError({ detail: "Choose a photograph first.", suggestion: null });
      stage.node.scrollIntoView({ block: "nearest" });
      stage.focus();
      return;
    }
    send.disabled = true;
    meter.hidden = false;
    const waiting = [...draft.photos];
    const done = [];
    try {
      for (const photo of waiting) {
        draft.active = draft.photos.indexOf(photo);
        const shown = (share) => {
          const whole = (done.length + share * 0.98) / waiting.length;
          meter.firstChild.style.setProperty("width", `${whole * 100}%`);
          meter.ariaValueNow = String(Math.round(whole * 100));
          fill(send, share < 1 ? `Sending ${Math.round(whole * 100)} %` : "Checking the photograph");
        };
        shown(0);
        const job = await submit(photo, { params: draft.params, guide: draft.guide, options: draft.options, look: draft.look, onProgress: shown, signal });
        done.push(job);
      }
    } catch (problem) {
      if (problem.name === "AbortError") return;
      for (const photo of waiting.slice(0, done.length)) removePhoto(photo.key);
      stage.draw();
      send.disabled = false;
      meter.hidden = true;
      refresh();
      showError(problem);
      return;
    }
    for (const photo of waiting) removePhoto(photo.key);
    if (done.length === 1) go(`/jobs/${done[0].id}`);
    else {
      toast(`${done.length} dreams are in the queue`);
      go("/gallery");
    }
  }

  function clear() {
    general.hidden = true;
    for (const one of fields) one.showError(null);
  }

  /** Shows each error at its field, and errors without a field at the top of the form. */
  function showError(problem) {
    let first = null;
    const unassigned = [];
    for (const fieldError of problem.fieldErrors ?? [{ path: "", detail: problem.message, suggestion: null }]) {
      const path = fieldError.path ?? "";
      const field = fields.find((one) => path === one.path || path.startsWith(`${one.path}.`)) ?? (isAboutTheImage(problem) ? fields.at(-1) : null);
      if (!field) unassigned.push(fieldError.path ? `${fieldError.path}: ${fieldError.detail}` : fieldError.detail);
      else {
        field.showError(fieldError, path);
        first ??= field;
      }
    }
    if (unassigned.length) {
      general.hidden = false;
      fill(general, icon("alert"), h("p", null, unassigned.join(" ")));
    }
    if (first) {
      first.node?.closest("details")?.setAttribute("open", "");
      first.focus();
    }
    speak(`Not started. ${problem.message}`);
  }

  const node = h(
    "form",
    { className: "composer", noValidate: true, onsubmit: start },
    h("h1", { className: "hidden" }, "Dream on a photograph"),
    stage.node,
    h(
      "div",
      { className: "controls" },
      picker.node,
      h("section", { className: "stack", "aria-label": "Settings" }, form.main),
      h(
        "div",
        null,
        fold("Network and layers", "channels, weights", form.network, draft.look === null && Boolean(draft.params.layers)),
        fold("Guide", "features of another image", guide.node),
        fold("More settings", "seed, scale, tiles", form.rest),
      ),
      h("div", { className: "launch" }, general, estimate.node, meter, send),
    ),
  );
  refresh();
  get("/readyz").catch((problem) => problem.status === 503 && estimate.warn("No worker is running; the job will wait until one starts."));
  return { title: activePhoto() ? "Compose" : "", node };
}

function fold(title, about, inside, open = false) {
  return h("details", { className: "fold", open }, h("summary", null, title, h("span", { className: "muted ellipsis" }, about)), inside);
}

/** Starts from the layer explorer's link: `?model=…&layer=…&channel=…`. */
function startFromLayer(query) {
  const channel = query.get("channel");
  draft.look = null;
  draft.base = null;
  draft.params = { model: query.get("model"), layers: [{ layer: query.get("layer"), channels: channel === null ? null : [Number(channel)], weight: 1 }] };
  history.replaceState(null, "", "/");
}

function isAboutTheImage(problem) {
  return /image|picture|request_too_large/.test(problem.code ?? "") || problem.status === 413 || problem.status === 415;
}
