// The estimate above the start button: "About 40 s, measured on the last 6 dreams".

import { fill, h, icon } from "../core/dom.js";
import { about, count } from "../core/format.js";
import { get } from "../core/api.js";
import { dreamSize, octaveSizes, pace, pixelSteps, queueSeconds } from "../jobs/estimate.js";
import { draft } from "./draft.js";

const DEBOUNCE_MS = 250;

/**
 * @param {() => any} values returns the parameters with their defaults
 * @param {any[]} models of `GET /v1/models`
 * @param {AbortSignal} signal
 */
export function estimateLine(values, models, signal) {
  const headline = h("strong");
  const basis = h("span", { className: "hint" });
  const warning = h("p", { className: "field-error", hidden: true });
  const node = h("div", { className: "estimate" }, h("div", { className: "estimate-line" }, icon("clock"), h("div", null, headline, basis)), warning);
  let timer;

  async function compute() {
    const params = values();
    if (!draft.photos.length) {
      fill(headline, "How long will it take?");
      fill(basis, "Add a photograph to get an estimate.");
      return;
    }
    if (draft.photos.some((photo) => !photo.width)) {
      fill(headline, "No estimate");
      fill(basis, "The size of a photograph is known once the service has read it.");
      return;
    }
    const model = models.find((one) => one.name === params.model);
    const layers = params.layers ?? (model ? [{ layer: model.default_layer }] : []);
    const steps = draft.photos.reduce((sum, photo) => sum + pixelSteps(photo.width, photo.height, params, model?.minimum_px), 0);
    const photo = draft.photos[draft.active];
    const octaves = octaveSizes(...dreamSize(photo.width, photo.height, params), params, model?.minimum_px).length;
    const measured = await pace({ ...params, layers });
    const few = octaves < params.octaves ? ` This size has room for ${octaves} of ${params.octaves} octaves.` : "";
    const missing = model?.availability && model.availability !== "ready" && !model.fetched_on_demand;
    if (!measured && missing) {
      fill(headline, "It will wait");
      fill(basis, `${model.title} is not here yet.`);
      return;
    }
    if (!measured) {
      fill(headline, "No estimate yet");
      fill(basis, `No dream has run with this network yet.${few}`);
      return;
    }
    const { workers = 1 } = await get("/readyz").catch(() => ({}));
    const waiting = await queueSeconds(measured.perSecond, workers);
    const seconds = steps / measured.perSecond + measured.overheadS * draft.photos.length;
    fill(headline, capital(about(seconds)), waiting.jobs > 0 && !missing && `, starting in ${about(waiting.seconds)}`);
    fill(basis, `Measured on ${measured.dreams === 1 ? "one dream" : `the last ${count(measured.dreams, "dream")}`} here.${few}`);
  }

  function update() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (signal.aborted) return;
      compute().catch(() => {
        fill(headline, "No estimate");
        fill(basis, "The server did not return its measurements.");
      });
    }, DEBOUNCE_MS);
  }

  return {
    node,
    update,
    warn(text) {
      warning.hidden = false;
      fill(warning, icon("alert"), text);
    },
  };
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
