// The photographs of the composer: first an invitation to add some, then the selected one.

import { toast, speak } from "../core/announce.js";
import { asset, button, fill, h, icon } from "../core/dom.js";
import { bytes, count } from "../core/format.js";
import { activePhoto, addPhotos, draft, readPhoto, removePhoto } from "./draft.js";
import { errorSlot } from "../settings/fields.js";
import { maskPainter } from "./mask.js";

const SAMPLES = [
  { file: "coffee.webp", title: "A cup of coffee" },
  { file: "rocket.webp", title: "A rocket at dusk" },
  { file: "cat.webp", title: "A cat" },
];
/** The same crop of one photograph, with a deeper dream in each inner frame. */
const TUNNEL = ["samples/tunnel-0.webp", "samples/tunnel-1.webp", "samples/tunnel-2.webp", "samples/tunnel-3.webp", "samples/tunnel-4.webp"];

/**
 * @param {{signal: AbortSignal, onChange: () => void}} options
 */
export function photoStage({ signal, onChange }) {
  const slot = errorSlot();
  slot.node.classList.add("stage-error");
  const input = h("input", { type: "file", multiple: true, accept: "image/*,.heic,.heif,.tif,.tiff,.jxl", hidden: true, id: "file", onchange: () => {
    addFiles([...input.files]);
    input.value = "";
  } });
  const view = h("div", { className: "stage-view" });
  const strip = h("ul", { className: "strip", "aria-label": "Photographs" });
  const node = h("section", { className: "stage", "aria-label": "Photograph", "data-path": "image" }, input, view, slot.node, strip);
  let painter = null;

  const choose = () => input.click();

  async function addFiles(files) {
    slot.show(null);
    const pictures = files.filter((file) => file instanceof File);
    if (!pictures.length) return;
    node.classList.add("reading");
    const failed = [];
    const added = [];
    for (const file of pictures) {
      try {
        added.push(await readPhoto(file));
      } catch (error) {
        failed.push(error.message);
      }
    }
    node.classList.remove("reading");
    if (added.length) {
      addPhotos(added);
      speak(`${count(added.length, "photograph")} added`);
    }
    draw();
    if (failed.length) slot.show({ detail: failed.join(" "), suggestion: null });
    onChange();
  }

  function remove(photo) {
    removePhoto(photo.key);
    draw();
    onChange();
    focus();
  }

  /** Focuses the first control: of the photograph, or the one that adds some. */
  const focus = () => node.querySelector(".photo-tools button, .invitation .primary")?.focus({ preventScroll: true });

  function invitation() {
    const sample = ({ file, title }) =>
      h(
        "button",
        { type: "button", className: "sample", onclick: () => takeSample(file, title) },
        h("img", { src: asset(`samples/${file}`), alt: "", width: 96, height: 72 }),
        h("span", { className: "hidden" }, `Use the sample: ${title}`),
      );
    return h(
      "div",
      { className: "invitation" },
      h("div", { className: "tunnel", "aria-hidden": "true" }, TUNNEL.map((file) => h("i", null, h("img", { src: asset(file), alt: "" })))),
      h("p", { className: "invitation-title" }, "Start with a photograph"),
      h("p", { className: "muted" }, matchMedia("(pointer: coarse)").matches ? "or several at once." : "Drop one here, or several at once. You can also paste."),
      h("button", { type: "button", className: "primary large", onclick: choose }, "Choose photographs"),
      h("div", { className: "samples" }, h("span", { className: "muted small" }, "No photograph at hand? Try a sample"), h("div", { className: "row" }, SAMPLES.map(sample))),
    );
  }

  async function takeSample(file, title) {
    const response = await fetch(asset(`samples/${file}`));
    const blob = await response.blob();
    await addFiles([new File([blob], `${title}.webp`, { type: "image/webp" })]);
    focus(); // the sample's button is gone
  }

  function portrait(photo) {
    const picture = photo.url ? h("img", { src: photo.url, alt: `Your photograph ${photo.name}` }) : tile(photo);
    const [width, height] = photo.width ? [photo.width, photo.height] : [4, 3];
    const frame = h("div", { className: "photo-frame", style: { "--ratio": `${width} / ${height}`, "--w": width, "--h": height } }, picture);
    const facts = h(
      "div",
      { className: "photo-facts" },
      h("span", { className: "ellipsis", title: photo.name }, photo.name),
      h("span", { className: "muted num" }, [photo.width && `${photo.width} × ${photo.height}`, bytes(photo.file.size)].filter(Boolean).join(", ")),
    );
    const tools = h("div", { className: "photo-tools" });
    painter = maskPainter(photo, frame, () => {
      drawTools();
      if (!painter?.active) onChange();
    });

    function drawTools() {
      fill(
        tools,
        photo.url && painter.tools(),
        !painter.active && [
          button("Add more", { icon: "plus", className: "slim", onclick: choose }),
          button("Remove this photograph", { icon: "close", className: "slim icon-only", onclick: () => remove(photo) }, false),
        ],
      );
    }
    drawTools();
    return [frame, h("div", { className: "photo-bar" }, facts, tools)];
  }

  function draw() {
    const photo = activePhoto();
    painter?.close?.();
    painter = null;
    node.classList.toggle("filled", Boolean(photo));
    fill(view, photo ? portrait(photo) : invitation());
    strip.hidden = draft.photos.length < 2;
    fill(
      strip,
      draft.photos.map((one, index) =>
        h(
          "li",
          null,
          h(
            "button",
            { type: "button", "aria-pressed": String(index === draft.active), title: one.name, className: one.problem ? "bad" : "", onclick: () => {
              draft.active = index;
              draw();
              onChange();
              strip.children[index]?.querySelector("button").focus();
            } },
            one.url ? h("img", { src: one.url, alt: one.name }) : h("span", { className: "unshown" }, ending(one), h("span", { className: "hidden" }, one.name)),
          ),
        ),
      ),
    );
    slot.show(photo?.problem ?? null);
  }

  listenForDrops(node, signal, addFiles);
  draw();
  return { node, draw, showError: (fieldError) => slot.show(fieldError), focus };
}

/** Stands for a photograph that this browser can't show; it can be dreamed all the same. */
function tile(photo) {
  return h(
    "div",
    { className: "unshown" },
    icon("photo"),
    h("strong", { className: "wrap-anywhere" }, photo.name),
    h("span", { className: "muted" }, `This browser can't show ${ending(photo)} files. The service reads them, and the dream will be visible.`),
  );
}

/** Returns the format as people call it: the ending of the file's name. */
function ending(photo) {
  const found = /\.(\w+)$/.exec(photo.name)?.[1] ?? photo.file.type.split("/").pop();
  return (found || "such").toUpperCase().replace(/^TIF$/, "TIFF");
}

/** Accepts files dropped or pasted anywhere on the page. */
function listenForDrops(node, signal, addFiles) {
  let depth = 0;
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (on) => node.classList.toggle("dropping", on);
  document.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    over(true);
  }, { signal });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  }, { signal });
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault(), { signal });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    addFiles([...event.dataTransfer.files]);
  }, { signal });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    addFiles(files);
    toast("Pasted", "photo");
  }, { signal });
}
