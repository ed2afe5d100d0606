// Tells the page's other tabs in this browser what was deleted here.

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("dreamqueue") : null;

export function announceDeletion(id) {
  channel?.postMessage({ deleted: id });
}

/**
 * Calls back with the id of each job that another tab deletes.
 * @param {AbortSignal} signal
 * @param {(id: string) => void} onDeleted
 */
export function onDeletion(signal, onDeleted) {
  channel?.addEventListener("message", ({ data }) => data?.deleted && onDeleted(data.deleted), { signal });
}
