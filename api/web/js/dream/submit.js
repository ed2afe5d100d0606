// Submits jobs: large files are uploaded to the object storage first, small ones are sent with the form.

import { hooks, problemFrom, request } from "../core/api.js";
import { savePhoto } from "../core/photo-cache.js";
import { maskFile } from "./mask-file.js";

const UPLOAD_FIRST_BYTES = 8e6;

/**
 * Submits one photograph.
 * @param {import("./draft.js").Photo} photo
 * @param {{params: any, guide: File | null, options: Record<string, any>, look?: string | null,
 *   onProgress: (fraction: number) => void, signal: AbortSignal}} with_
 * @returns {Promise<any>} the job
 */
export async function submit(photo, { params, guide, options, look = null, onProgress, signal }) {
  const mask = photo.mask ? await maskFile(photo.mask) : null;
  const large = photo.file.size > UPLOAD_FIRST_BYTES;
  const job = large
    ? await byUpload({ image: photo.file, guide, mask }, params, options, onProgress, signal)
    : await byForm({ image: photo.file, guide, mask }, params, options, onProgress, signal);
  await savePhoto(job.id, { file: photo.file, name: photo.name, look }).catch(() => {});
  return job;
}

async function byForm({ image, guide, mask }, params, options, onProgress, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, String(value));
  form.append("params", JSON.stringify(params));
  form.append("image", image, image.name || "photograph");
  if (guide) form.append("guide", guide, guide.name || "guide");
  if (mask) form.append("mask", mask, "mask.png");
  return JSON.parse(await send("/v1/jobs", form, { onProgress, signal, idempotent: true }));
}

async function byUpload(files, params, options, onProgress, signal) {
  const total = Object.values(files).reduce((sum, file) => sum + (file?.size ?? 0), 0);
  const body = { ...options, params };
  let before = 0;
  for (const [name, file] of Object.entries(files)) {
    if (!file) continue;
    const upload = await (await request("/v1/uploads", { method: "POST", json: { size_bytes: file.size, content_type: file.type }, signal })).json();
    const form = new FormData();
    for (const [key, value] of Object.entries(upload.fields)) form.append(key, value);
    form.append("file", file);
    const start = before;
    await send(upload.url, form, { onProgress: (share) => onProgress((start + share * file.size) / total), signal });
    before += file.size;
    body[name] = { upload: upload.id };
  }
  return (await request("/v1/jobs", { method: "POST", json: body, signal, headers: { "Idempotency-Key": newIdempotencyKey() } })).json();
}

/** POSTs a form and reports upload progress, which fetch does not support. */
function send(url, form, { onProgress, signal, idempotent = false }) {
  return new Promise((done, fail) => {
    const call = new XMLHttpRequest();
    call.open("POST", url);
    if (url.startsWith("/")) call.setRequestHeader("X-Requested-With", "dreamqueue");
    if (idempotent) call.setRequestHeader("Idempotency-Key", newIdempotencyKey());
    call.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    call.onload = () => {
      if (call.status >= 200 && call.status < 300) return done(call.responseText);
      if (call.status === 401) hooks.onUnauthorized();
      return fail(problemFrom(call.status, call.responseText, Number(call.getResponseHeader("Retry-After")) || null));
    };
    call.onerror = () => fail(problemFrom(0, ""));
    call.onabort = () => fail(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => call.abort(), { once: true });
    call.send(form);
  });
}

function newIdempotencyKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16).padStart(8, "0")).join("");
}
