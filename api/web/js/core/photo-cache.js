// Caches the photographs and file names of jobs submitted in this browser.

import { PHOTOGRAPHS, use } from "./database.js";

const MAX_JOBS = 60;
const MAX_BYTES = 24e6;

/** Stores a job's file name, and its photograph unless it is too large. */
export async function savePhoto(id, { file, name }) {
  const image = file && file.size <= MAX_BYTES ? file : null;
  await use(PHOTOGRAPHS, "readwrite", (store) => store.put({ id, name, image }));
  const keys = (await use(PHOTOGRAPHS, "readonly", (store) => store.getAllKeys())) ?? [];
  for (const old of keys.slice(0, Math.max(0, keys.length - MAX_JOBS))) await deletePhoto(old);
}

/** @returns {Promise<{id: string, name: string, image: Blob | null} | null>} */
export function loadPhoto(id) {
  return use(PHOTOGRAPHS, "readonly", (store) => store.get(id));
}

export function deletePhoto(id) {
  return use(PHOTOGRAPHS, "readwrite", (store) => store.delete(id));
}
