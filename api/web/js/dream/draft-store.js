// Keeps the draft in this browser, photographs, masks and guide included, until it is replaced.

import { DRAFTS, use } from "../core/database.js";
import { draft, readPhoto } from "./draft.js";
import { isBlank } from "./mask-file.js";

const ID = "composer";
const DELAY_MS = 400;
const MAX_BYTES = 200e6; // of all pictures; a larger draft lasts as long as the page
let timer;
let loaded = null;
let writing = Promise.resolve();

/** Stores the draft soon, at the latest when the page is left. */
export function keepDraft() {
  timer ??= setTimeout(next, DELAY_MS);
}

/** Stores the draft after what is being stored already, so that the newest one is the last. */
function next() {
  clearTimeout(timer);
  timer = undefined;
  writing = writing.then(storeDraft).catch(() => {}); // the page works without it
}

async function storeDraft() {
  const { photos, active, look, params, guide, options } = draft;
  const pictures = [...photos.map((photo) => photo.file), guide].reduce((sum, file) => sum + (file?.size ?? 0), 0);
  if (pictures > MAX_BYTES) return;
  const kept = await Promise.all(photos.map(async ({ file, name, mask, sent }) => ({ file, name, sent, mask: mask && !isBlank(mask) ? await blobOf(mask) : null })));
  await use(DRAFTS, "readwrite", (store) => store.put({ id: ID, photos: kept, active, look, params, guide, options }));
}

document.addEventListener("visibilitychange", () => document.hidden && timer && next());

/** Loads the stored draft, once per page load, unless something was composed before. */
export function restoreDraft() {
  loaded ??= restore();
  return loaded;
}

async function restore() {
  const kept = await use(DRAFTS, "readonly", (store) => store.get(ID));
  if (!kept || draft.photos.length || Object.keys(draft.params).length) return;
  const { look, params, guide, options, active } = kept;
  Object.assign(draft, { look, params, guide, options });
  for (const one of kept.photos) {
    try {
      const photo = await readPhoto(new File([one.file], one.name, { type: one.file.type }));
      Object.assign(photo, { sent: one.sent, mask: one.mask && (await canvasOf(one.mask)) });
      draft.photos.push(photo);
    } catch {
      // the browser has removed the file: the settings are still there
    }
  }
  draft.active = Math.max(0, Math.min(active, draft.photos.length - 1));
}

function blobOf(canvas) {
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

async function canvasOf(blob) {
  const picture = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(picture, 0, 0);
  return canvas;
}
