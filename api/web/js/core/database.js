// The page's database in this browser (IndexedDB): submitted photographs, and the draft. The page works without it.

const NAME = "dreamqueue";
const VERSION = 2;
export const PHOTOGRAPHS = "photographs";
export const DRAFTS = "drafts";

/** @returns {Promise<IDBDatabase | null>} */
function open() {
  return new Promise((done) => {
    try {
      const opening = indexedDB.open(NAME, VERSION);
      opening.onupgradeneeded = () => {
        for (const store of [PHOTOGRAPHS, DRAFTS]) {
          if (!opening.result.objectStoreNames.contains(store)) opening.result.createObjectStore(store, { keyPath: "id" });
        }
      };
      opening.onsuccess = () => done(opening.result);
      opening.onerror = () => done(null);
      opening.onblocked = () => done(null); // another tab runs an older version of the page
    } catch {
      done(null); // blocked in the browser's settings
    }
  });
}

/**
 * Runs an action on a store. Returns its request's result; null if there is none or the database is not available.
 * @param {string} name the store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest | null} action
 */
export async function use(name, mode, action) {
  const db = await open();
  if (!db) return null;
  db.onversionchange = () => db.close();
  return new Promise((done) => {
    const transaction = db.transaction(name, mode);
    const pending = action(transaction.objectStore(name));
    transaction.oncomplete = () => done(pending?.result ?? null);
    transaction.onerror = () => done(null);
    transaction.onabort = () => done(null);
  }).finally(() => db.close());
}

/** Removes everything that the page keeps in this browser's database. */
export async function clearDatabase() {
  for (const name of [PHOTOGRAPHS, DRAFTS]) await use(name, "readwrite", (store) => store.clear());
}
