// The job being composed. `draft-store.js` keeps it over reloads and restarts of the browser.

import { imageSize } from "./image-size.js";

/**
 * @typedef {{key: string, file: File, name: string, url: string | null, width: number | null, height: number | null,
 *   mask: HTMLCanvasElement | null, problem: any, sent: boolean}} Photo
 *   url: null if this browser can't show the file; width, height: null if they aren't known either
 *   sent: it was submitted; the next photograph replaces it
 */

export const draft = {
  /** @type {Photo[]} */ photos: [],
  active: 0,
  /** @type {string | null} the look that the settings started from */ look: null,
  /** @type {Record<string, any>} all parameters that differ from the defaults */ params: {},
  /** @type {File | null} */ guide: null,
  /** @type {Record<string, any>} kind, priority … */ options: {},
};

/** Returns the selected photograph. */
export function activePhoto() {
  return draft.photos[draft.active] ?? null;
}

export function addPhotos(photos) {
  for (const photo of draft.photos.filter((one) => one.sent)) removePhoto(photo.key);
  draft.active = draft.photos.length;
  draft.photos.push(...photos);
}

export function removePhoto(key) {
  const index = draft.photos.findIndex((photo) => photo.key === key);
  if (index < 0) return;
  if (draft.photos[index].url) URL.revokeObjectURL(draft.photos[index].url);
  draft.photos.splice(index, 1);
  draft.active = Math.max(0, Math.min(draft.active - (index < draft.active ? 1 : 0), draft.photos.length - 1));
}

export function clearPhotos() {
  for (const photo of [...draft.photos]) removePhoto(photo.key);
}

/** Starts from a look. The size and the format stay as they were chosen. */
export function takeLook(look) {
  const { scale, long_side, format } = draft.params;
  const kept = Object.entries({ scale, long_side, format }).filter(([, value]) => value !== undefined && value !== null);
  draft.look = look.name;
  draft.params = { ...structuredClone(look.params), ...Object.fromEntries(kept) };
}

/** Replaces the draft's settings by those of a job. */
export function adopt(job) {
  const { tile_size: _, ...params } = job.params; // was chosen for another device
  draft.params = params;
  draft.look = job.preset ?? null;
  draft.options = {};
}

const plain = (value) => JSON.stringify(value ?? null);
const targets = (layers) => plain((layers ?? []).map((one) => [one.layer, one.channels ?? null, one.weight ?? 1]));

/**
 * Returns the names of the parameters that differ from the look's.
 * @param {{params: any}} look
 * @param {Record<string, any>} defaults
 */
export function changedSince(look, defaults) {
  const original = { ...defaults, ...look.params };
  const now = { ...defaults, ...draft.params };
  return Object.keys(now).filter((name) => {
    if (name === "jitter" && plain(original[name]) === "null") return false; // a job has the number that null stands for
    return name === "layers" ? targets(now[name]) !== targets(original[name]) : plain(now[name]) !== plain(original[name]);
  });
}

/**
 * Returns the parameters to submit: those of the draft, and the defaults where the look has something else.
 * @param {{params: any} | undefined} look
 */
export function paramsToSend(look, defaults) {
  const reset = Object.keys(look?.params ?? {}).filter((name) => !(name in draft.params));
  return { ...Object.fromEntries(reset.map((name) => [name, defaults[name] ?? null])), ...draft.params };
}

const UNSHOWN = /hei[cf]|tiff?|jxl/i; // formats that the service reads and only some browsers show
const ENDINGS = /\.(png|jpe?g|webp|gif|avif|heic|heif|tiff?|jxl)$/i; // some systems give HEIC and JPEG XL no type

/**
 * Reads a photograph and its size from a file. Throws Error with a message for the user.
 * @param {File} file
 * @returns {Promise<Photo>}
 */
export async function readPhoto(file) {
  if (!file.type.startsWith("image/") && !ENDINGS.test(file.name)) {
    throw new Error(`${file.name} is not an image.`);
  }
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  let shown;
  try {
    await image.decode();
    shown = { url, width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    URL.revokeObjectURL(url);
    if (!UNSHOWN.test(`${file.type} ${file.name.split(".").pop()}`)) throw new Error(`${file.name} can't be read: it is damaged or not an image.`);
    shown = { url: null, width: null, height: null, ...(await imageSize(file)) };
  }
  return {
    key: crypto.getRandomValues(new Uint32Array(2)).join("-"),
    file,
    name: file.name || "Pasted image",
    ...shown,
    mask: null,
    problem: null,
    sent: false,
  };
}
