// A mask as it is painted, and as it is sent: opacity here, gray there.

import { h } from "../core/dom.js";

/** How a mask is shown; only its opacity counts. */
export const TINT = "#4fd6cc";

/**
 * A gray picture as a mask to paint on.
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
 * The mask as a gray PNG: white dreams, black stays.
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
