// Submits jobs: large files are uploaded to the object storage first, small ones are sent with the form.

import { request } from "../core/api.js";
import { savePhoto } from "../core/photo-cache.js";
import { send } from "../core/send.js";
import { isBlank, maskFile } from "./mask-file.js";
import { uploadByParts } from "./parts.js";

const UPLOAD_FIRST_BYTES = 8e6;
const BY_PARTS_BYTES = 32 * 2 ** 20;

/**
 * Submits one photograph. Sent again with the same `key`, it creates no second job.
 * @param {{file: File, name: string, mask?: HTMLCanvasElement | null}} photo
 * @param {{params: any, guide: File | null, options: Record<string, any>, key?: string,
 *   onProgress: (fraction: number) => void, onSilence?: () => void, signal: AbortSignal}} with_
 * @returns {Promise<any>} the job
 */
export async function submit(photo, { params, guide, options, key = newKey(), onProgress, onSilence = () => {}, signal }) {
  const mask = photo.mask && !isBlank(photo.mask) ? await maskFile(photo.mask) : null;
  const large = photo.file.size > UPLOAD_FIRST_BYTES;
  const files = { image: photo.file, guide, mask };
  const job = await (large ? byUpload : byForm)(files, params, options, { key, onProgress, onSilence, signal });
  await savePhoto(job.id, { file: photo.file, name: photo.name }).catch(() => {});
  return job;
}

/** Returns a new Idempotency-Key. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16).padStart(8, "0")).join("");
}

async function byForm({ image, guide, mask }, params, options, sending) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, String(value));
  form.append("params", JSON.stringify(params));
  form.append("image", image, image.name || "photograph");
  if (guide) form.append("guide", guide, guide.name || "guide");
  if (mask) form.append("mask", mask, "mask.png");
  return JSON.parse(await send("/v1/jobs", form, { ...sending, headers: { "Idempotency-Key": sending.key } }));
}

/** Bodies whose uploads are complete, by key: sending one again uploads nothing twice. */
const uploaded = new Map();

async function byUpload(files, params, options, sending) {
  const { key, signal } = sending;
  if (!uploaded.has(key)) uploaded.set(key, await upload(files, params, options, sending));
  const headers = { "Idempotency-Key": key, "Content-Type": "application/json" };
  return JSON.parse(await send("/v1/jobs", JSON.stringify(uploaded.get(key)), { ...sending, signal, headers }));
}

/** Uploads the files. Returns the body of the submission. */
async function upload(files, params, options, { signal, onProgress, onSilence }) {
  const total = Object.values(files).reduce((sum, file) => sum + (file?.size ?? 0), 0);
  const body = { ...options, params, name: options.name ?? files.image.name };
  let before = 0;
  for (const [name, file] of Object.entries(files)) {
    if (!file) continue;
    const start = before;
    const sending = { onSilence, signal, onProgress: (share) => onProgress((start + share * file.size) / total) };
    const id = (file.size > BY_PARTS_BYTES ? await uploadByParts(file, sending) : null) ?? (await uploadByForm(file, sending));
    before += file.size;
    body[name] = { upload: id };
  }
  return body;
}

/** Uploads a file with one request. Returns the upload's id. */
async function uploadByForm(file, sending) {
  const json = { size_bytes: file.size, content_type: file.type };
  const place = await (await request("/v1/uploads", { method: "POST", json, signal: sending.signal })).json();
  const form = new FormData();
  for (const [key, value] of Object.entries(place.fields)) form.append(key, value);
  form.append("file", file);
  await send(place.url, form, sending);
  return place.id;
}
