// Converts masks between the painted form (opacity) and the uploaded form (gray).

import { h } from "../core/dom.js";

/** Color in which a mask is drawn; only its opacity matters. */
export const TINT = "#4fd6cc";

/**
 * Converts a gray image to a mask canvas.
 * @param {Blob} blob
 */
export async function canvasFromMask(blob) {
  const picture = await createImageBitmap(blob, { resizeQuality: "high" });
  const canvas = h("canvas", { width: picture.width, height: picture.height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i];
  pen.putImageData(pixels, 0, 0);
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = TINT;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

/**
 * Converts a mask canvas to a gray PNG: white areas are dreamed, black ones stay unchanged.
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob>}
 */
export function maskFile(canvas) {
  const flat = h("canvas", { width: canvas.width, height: canvas.height });
  const pen = flat.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, flat.width, flat.height);
  pen.globalCompositeOperation = "destination-over";
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, flat.width, flat.height);
  return new Promise((done) => flat.toBlob(done, "image/png"));
}

/** Whether nothing is painted. */
export function isBlank(canvas) {
  const { data } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 3; i < data.length; i += 4) if (data[i]) return false;
  return true;
}
