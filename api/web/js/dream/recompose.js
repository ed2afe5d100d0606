// "Dream again": loads a job's photograph, mask, guide and settings into the composer.

import { adopt, clearPhotos, draft, readPhoto } from "./draft.js";
import { keepDraft } from "./draft-store.js";
import { canvasFromMask } from "./mask-file.js";

/**
 * Loads the job into the draft: always its settings, and its images if available. Returns whether they were.
 * @param {any} job
 * @param {{name: string, image: Blob | null} | null} cached what this browser has cached of it
 * @param {string | null} before the photograph's address
 */
export async function recompose(job, cached, before) {
  adopt(job);
  draft.guide = null;
  keepDraft();
  try {
    const image = cached?.image ?? (before && (await picture(before)));
    if (!image) return false;
    const type = image.type.startsWith("image/") ? image.type : `image/${job.input.format}`;
    const photo = await readPhoto(new File([image], cached?.name ?? `${job.id}.${job.input.format}`, { type }));
    if (job.links.mask) photo.mask = await canvasFromMask(await picture(job.links.mask));
    if (job.links.guide) draft.guide = new File([await picture(job.links.guide)], "guide", { type: "image/png" });
    clearPhotos();
    draft.photos.push(photo);
    draft.active = 0;
    keepDraft();
    return true;
  } catch {
    return false; // expired, or the storage is unavailable; the caller tells the user
  }
}

/** Loads the job's settings without its pictures, for another photograph. */
export function reuseSettings(job) {
  adopt(job);
  draft.guide = null;
  clearPhotos();
  keepDraft();
}

async function picture(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} returned ${response.status}`);
  return response.blob();
}
