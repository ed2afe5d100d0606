// "Dream again": a job's photograph, mask, guide and settings, back in the composer.

import { adopt, clearPhotos, draft, readPhoto } from "./draft.js";
import { canvasFromMask } from "./mask-file.js";

/**
 * Whether all that the job was made of could be had; the settings are taken over in any case.
 * @param {any} job
 * @param {{name: string, image: Blob | null} | null} kept what this browser remembers of it
 * @param {string | null} before the photograph's address
 */
export async function recompose(job, kept, before) {
  adopt(job);
  draft.guide = null;
  try {
    const image = kept?.image ?? (before && (await picture(before)));
    if (!image) return false;
    const type = image.type.startsWith("image/") ? image.type : `image/${job.input.format}`;
    const photo = await readPhoto(new File([image], kept?.name ?? `${job.id}.${job.input.format}`, { type }));
    if (job.links.mask) photo.mask = await canvasFromMask(await picture(job.links.mask));
    if (job.links.guide) draft.guide = new File([await picture(job.links.guide)], "guide", { type: "image/png" });
    clearPhotos();
    draft.photos.push(photo);
    draft.active = 0;
    return true;
  } catch {
    return false; // retention took it, or the storage is away: the person is told
  }
}

async function picture(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.blob();
}
