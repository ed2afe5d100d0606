// The image in progress: first the photograph, then each new preview.

import { fill, h, prefersStill } from "../core/dom.js";

const REFRESH_MS = 2000; // workers store previews about this often
const ANSWER_MS = 15_000; // longest wait for one

/**
 * @param {{id: string, before: string | null, signal: AbortSignal}} options
 */
export function previewPicture({ id, before, signal }) {
  const caption = h("span", { className: "chip" });
  const photo = before && h("img", { src: before, alt: "Your photograph", className: "waiting" });
  const node = h("div", { className: "preview" }, !before && h("div", { className: "blank" }, h("div", { className: "skeleton" })), photo, h("div", { className: "veil" }, caption));
  let requestedAt = 0;
  let busy = false;
  let etag = "";
  let shown = null;
  let url = null;
  signal.addEventListener("abort", () => url && URL.revokeObjectURL(url));

  /** Loads a newer preview, at most as often as workers store them. */
  async function refresh({ now = false } = {}) {
    if (busy || signal.aborted || (!now && Date.now() - requestedAt < REFRESH_MS)) return;
    busy = true;
    requestedAt = Date.now();
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
      const response = await fetch(`/v1/jobs/${encodeURIComponent(id)}/preview`, { headers, signal: limited, cache: "no-store" });
      if (response.status !== 200) return;
      etag = response.headers.get("ETag") ?? "";
      await show(await response.blob());
    } catch {
      // the next refresh may succeed; errors of the job are handled elsewhere
    } finally {
      busy = false;
    }
  }

  async function show(blob) {
    const fresh = URL.createObjectURL(blob);
    const image = h("img", { src: fresh, alt: "The dream so far" });
    await image.decode();
    image.style.opacity = prefersStill() ? "1" : "0";
    caption.parentElement.before(image);
    requestAnimationFrame(() => (image.style.opacity = "1"));
    const old = shown;
    const oldUrl = url;
    [shown, url] = [image, fresh];
    setTimeout(() => {
      old?.remove();
      photo?.classList.remove("waiting");
      if (oldUrl) URL.revokeObjectURL(oldUrl);
    }, 600);
  }

  return {
    node,
    refresh,
    setCaption: (...text) => {
      fill(caption, text);
      caption.parentElement.hidden = !text.filter(Boolean).length;
    },
  };
}
