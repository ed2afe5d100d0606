// What this browser remembers of its own submissions: the photograph and its file name, by job. Everything
// works without it; the server remains the truth.

const NAME = "dreamqueue";
const STORE = "photographs";
const KEEP = 60; // jobs
const LARGEST_BYTES = 24e6;

/** @returns {Promise<IDBDatabase | null>} */
function open() {
  return new Promise((done) => {
    try {
      const opening = indexedDB.open(NAME, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => done(null);
    } catch {
      done(null); // blocked by the browser's settings
    }
  });
}

async function use(mode, action) {
  const db = await open();
  if (!db) return null;
  return new Promise((done) => {
    const transaction = db.transaction(STORE, mode);
    const asked = action(transaction.objectStore(STORE));
    transaction.oncomplete = () => done(asked?.result ?? null);
    transaction.onerror = () => done(null);
    transaction.onabort = () => done(null);
  }).finally(() => db.close());
}

/** Keeps a job's photograph, and its name in any case. */
export async function keep(id, { file, name, look }) {
  const image = file && file.size <= LARGEST_BYTES ? file : null;
  await use("readwrite", (store) => {
    store.put({ id, name, look, image });
    return null;
  });
  const keys = (await use("readonly", (store) => store.getAllKeys())) ?? [];
  for (const old of keys.slice(0, Math.max(0, keys.length - KEEP))) await use("readwrite", (store) => store.delete(old));
}

/** @returns {Promise<{id: string, name: string, look: string | null, image: Blob | null} | null>} */
export function recall(id) {
  return use("readonly", (store) => store.get(id));
}

export function forget(id) {
  return use("readwrite", (store) => store.delete(id));
}
