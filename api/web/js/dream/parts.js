// Uploads a large file to the object storage by parts. A part that fails is sent again, not the whole file.

import { request } from "../core/api.js";
import { send } from "../core/send.js";

const ATTEMPTS = 5; // at one part
const PAUSE_MS = 1000; // before the second attempt; doubled before each further one

/** Uploads that began, by file: submitting it again goes on with the parts that are missing. */
const begun = new WeakMap();

/**
 * Uploads the file.
 * @param {File} file
 * @param {{onProgress: (fraction: number) => void, onSilence: () => void, signal: AbortSignal}} sending
 * @returns {Promise<string | null>} the upload's id, null if the storage takes no uploads by parts
 */
export async function uploadByParts(file, sending) {
  const { signal } = sending;
  let page = begun.has(file) ? await list(begun.get(file), 1, signal).catch(begunAgain) : null;
  if (!page) {
    const id = await begin(file, signal);
    if (id === null) return null;
    begun.set(file, id);
    page = await list(id, 1, signal);
  }
  const id = begun.get(file);
  for (;;) {
    for (const part of page.parts) {
      if (!part.received) await sendPart(file, id, part, sending);
    }
    if (page.next === null) break;
    page = await list(id, page.next, signal);
  }
  await request(`/v1/uploads/${id}/complete`, { method: "POST", signal });
  begun.delete(file);
  return id;
}

async function begin(file, signal) {
  const json = { size_bytes: file.size, content_type: file.type };
  try {
    return (await (await request("/v1/uploads/parts", { method: "POST", json, signal })).json()).id;
  } catch (error) {
    if (error.code === "parts_unsupported") return null;
    throw error;
  }
}

/** Of an upload that has expired, begins another one. */
function begunAgain(error) {
  if (error.status === 404) return null;
  throw error;
}

async function list(id, first, signal) {
  return (await request(`/v1/uploads/${id}/parts?first=${first}`, { signal })).json();
}

async function sendPart(file, id, part, { onProgress, onSilence, signal }) {
  const body = file.slice(part.offset, part.offset + part.size_bytes);
  const report = (share) => onProgress((part.offset + share * part.size_bytes) / file.size);
  let { url } = part;
  for (let attempt = 1; ; attempt++) {
    try {
      await send(url, body, { method: "PUT", onProgress: report, onSilence, signal });
      return;
    } catch (error) {
      if (error.name === "AbortError" || attempt === ATTEMPTS || !mayPass(error.status)) throw error;
      await pause(PAUSE_MS * 2 ** (attempt - 1), signal);
      if (error.status === 403) url = (await list(id, part.number, signal)).parts[0].url; // it had expired
    }
  }
}

/** Returns whether an attempt that failed with that status may succeed later. 403: its address has expired. */
function mayPass(status) {
  return status < 400 || status >= 500 || [403, 408, 429].includes(status);
}

function pause(ms, signal) {
  return new Promise((done, fail) => {
    const stop = () => fail(new DOMException("aborted", "AbortError"));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    setTimeout(() => {
      signal.removeEventListener("abort", stop);
      done(undefined);
    }, ms);
  });
}
