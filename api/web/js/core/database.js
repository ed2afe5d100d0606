// The page's database in this browser (IndexedDB): submitted photographs, and the draft. The page works without it.

const NAME = "dreamqueue";
const VERSION = 2;
export const PHOTOGRAPHS = "photographs";
export const DRAFTS = "drafts";
let cleared = false; // until the page is loaded again

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
export function use(name, mode, action) {
  return transact(name, mode, action, () => mode === "readonly" || !cleared);
}

async function transact(name, mode, action, allowed) {
  const db = await open();
  if (!db) return null;
  if (!allowed()) {
    db.close();
    return null;
  }
  db.onversionchange = () => db.close();
  return new Promise((done) => {
    const transaction = db.transaction(name, mode);
    const pending = action(transaction.objectStore(name));
    transaction.oncomplete = () => done(pending?.result ?? null);
    transaction.onerror = () => done(null);
    transaction.onabort = () => done(null);
  }).finally(() => db.close());
}

/** Removes everything that the page keeps in this browser's database. Nothing that is still to be stored is stored then. */
export async function clearDatabase() {
  cleared = true;
  for (const name of [PHOTOGRAPHS, DRAFTS]) await transact(name, "readwrite", (store) => store.clear(), () => true);
}
