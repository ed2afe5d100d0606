// The field for a guide: an image whose features the dream amplifies.

import { button, fill, h, uid } from "../core/dom.js";
import { draft } from "./draft.js";
import { errorSlot } from "../settings/fields.js";

export function guideField(onChange) {
  const slot = errorSlot();
  const id = uid("guide");
  const input = h("input", { type: "file", id, accept: "image/png,image/jpeg,image/webp", className: "file", "aria-describedby": slot.node.id, onchange: () => {
    draft.guide = input.files[0] ?? null;
    slot.show(null);
    draw();
    onChange();
  } });
  const shown = h("div", { className: "guide-shown" });
  let url = null;

  function draw() {
    if (url) URL.revokeObjectURL(url);
    url = draft.guide ? URL.createObjectURL(draft.guide) : null;
    input.hidden = Boolean(draft.guide);
    fill(
      shown,
      draft.guide && [
        h("img", { src: url, alt: "The guide" }),
        h("span", { className: "ellipsis", title: draft.guide.name }, draft.guide.name),
        button("Remove the guide", { icon: "close", className: "quiet icon-only slim", onclick: () => {
          draft.guide = null;
          input.value = "";
          draw();
          onChange();
          input.focus();
        } }, false),
      ],
    );
  }

  draw();
  const node = h(
    "div",
    { className: "field guide", "data-path": "guide" },
    h("div", null, h("label", { for: id, className: "label" }, "Guide image"), h("p", { className: "hint" }, "The dream takes on what is in it: with flowers as the guide, flowers appear.")),
    input,
    shown,
    slot.node,
  );
  return {
    node,
    path: "guide",
    focus: () => input.focus(),
    showError(fieldError) {
      if (fieldError) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
      slot.show(fieldError);
    },
  };
}
