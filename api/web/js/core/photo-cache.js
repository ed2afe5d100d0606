// Caches the photographs and file names of jobs submitted in this browser (IndexedDB). The page works without it.

const NAME = "dreamqueue";
const STORE = "photographs";
const MAX_JOBS = 60;
const MAX_BYTES = 24e6;

/** @returns {Promise<IDBDatabase | null>} */
function open() {
  return new Promise((done) => {
    try {
      const opening = indexedDB.open(NAME, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => done(null);
    } catch {
      done(null); // blocked in the browser's settings
    }
  });
}

async function use(mode, action) {
  const db = await open();
  if (!db) return null;
  return new Promise((done) => {
    const transaction = db.transaction(STORE, mode);
    const pending = action(transaction.objectStore(STORE));
    transaction.oncomplete = () => done(pending?.result ?? null);
    transaction.onerror = () => done(null);
    transaction.onabort = () => done(null);
  }).finally(() => db.close());
}

/** Stores a job's file name, and its photograph unless it is too large. */
export async function savePhoto(id, { file, name, look }) {
  const image = file && file.size <= MAX_BYTES ? file : null;
  await use("readwrite", (store) => {
    store.put({ id, name, look, image });
    return null;
  });
  const keys = (await use("readonly", (store) => store.getAllKeys())) ?? [];
  for (const old of keys.slice(0, Math.max(0, keys.length - MAX_JOBS))) await use("readwrite", (store) => store.delete(old));
}

/** @returns {Promise<{id: string, name: string, look: string | null, image: Blob | null} | null>} */
export function loadPhoto(id) {
  return use("readonly", (store) => store.get(id));
}

export function deletePhoto(id) {
  return use("readwrite", (store) => store.delete(id));
}
