// The dream being composed. It lives as long as the page, so that looking elsewhere loses nothing.

/**
 * @typedef {{key: string, file: File, name: string, url: string, width: number, height: number,
 *   mask: HTMLCanvasElement | null, problem: any}} Photo
 */

export const draft = {
  /** @type {Photo[]} */ photos: [],
  active: 0,
  /** @type {string | null} the look's name; null once its settings were changed by hand */ look: null,
  /** @type {string | null} the look that the settings began with */ base: null,
  /** @type {Record<string, any>} what differs from the defaults */ params: {},
  /** @type {File | null} */ guide: null,
  /** @type {Record<string, any>} kind, priority … */ options: {},
};

/** The photograph that is looked at. */
export function activePhoto() {
  return draft.photos[draft.active] ?? null;
}

export function removePhoto(key) {
  const index = draft.photos.findIndex((photo) => photo.key === key);
  if (index < 0) return;
  URL.revokeObjectURL(draft.photos[index].url);
  draft.photos.splice(index, 1);
  draft.active = Math.max(0, Math.min(draft.active - (index < draft.active ? 1 : 0), draft.photos.length - 1));
}

export function clearPhotos() {
  for (const photo of [...draft.photos]) removePhoto(photo.key);
}

/** Starts from what a job was made with. */
export function adopt(job) {
  const { tile_size: _, ...params } = job.params; // chosen for the device of then
  draft.params = params;
  draft.look = null;
  draft.base = null;
  draft.options = {};
}

const ACCEPTED = ["image/png", "image/jpeg", "image/webp"];

/**
 * A photograph from a file, measured by the browser. Raises Error with a sentence for the person.
 * @param {File} file
 * @returns {Promise<Photo>}
 */
export async function readPhoto(file) {
  if (!ACCEPTED.includes(file.type) && !/\.(png|jpe?g|webp)$/i.test(file.name)) {
    throw new Error(`${file.name} is not a PNG, JPEG or WebP picture.`);
  }
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(`${file.name} can't be read: it is damaged, or not a picture at all.`);
  }
  return {
    key: crypto.getRandomValues(new Uint32Array(2)).join("-"),
    file,
    name: file.name || "Pasted picture",
    url,
    width: image.naturalWidth,
    height: image.naturalHeight,
    mask: null,
    problem: null,
  };
}
