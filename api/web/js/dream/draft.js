// The job being composed. It lasts as long as the page, so that visiting other views loses nothing.

/**
 * @typedef {{key: string, file: File, name: string, url: string, width: number, height: number,
 *   mask: HTMLCanvasElement | null, problem: any}} Photo
 */

export const draft = {
  /** @type {Photo[]} */ photos: [],
  active: 0,
  /** @type {string | null} the look's name; null once its settings were changed */ look: null,
  /** @type {string | null} the look that the settings started from */ base: null,
  /** @type {Record<string, any>} what differs from the defaults */ params: {},
  /** @type {File | null} */ guide: null,
  /** @type {Record<string, any>} kind, priority … */ options: {},
};

/** Returns the selected photograph. */
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

/** Replaces the draft's settings by those of a job. */
export function adopt(job) {
  const { tile_size: _, ...params } = job.params; // was chosen for another device
  draft.params = params;
  draft.look = null;
  draft.base = null;
  draft.options = {};
}

const ACCEPTED = ["image/png", "image/jpeg", "image/webp"];

/**
 * Reads a photograph and its size from a file. Throws Error with a message for the user.
 * @param {File} file
 * @returns {Promise<Photo>}
 */
export async function readPhoto(file) {
  if (!ACCEPTED.includes(file.type) && !/\.(png|jpe?g|webp)$/i.test(file.name)) {
    throw new Error(`${file.name} is not a PNG, JPEG or WebP image.`);
  }
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error(`${file.name} can't be read: it is damaged or not an image.`);
  }
  return {
    key: crypto.getRandomValues(new Uint32Array(2)).join("-"),
    file,
    name: file.name || "Pasted image",
    url,
    width: image.naturalWidth,
    height: image.naturalHeight,
    mask: null,
    problem: null,
  };
}
