// How large the dream becomes, compared with the photograph.

import { fill, h, uid } from "../core/dom.js";
import { dreamSize } from "../jobs/estimate.js";
import { activePhoto, draft } from "../dream/draft.js";
import { errorSlot } from "./fields.js";

const SIZES = [["Half", 0.5], ["Same", 1], ["Double", 2], ["Four times", 4]];

/** @param {(scale: number | undefined) => void} onChange gets undefined for the photograph's own size */
export function sizeField(onChange) {
  const group = uid("size");
  const slot = errorSlot();
  const hint = h("p", { className: "hint num", id: uid("hint") });
  const inputs = SIZES.map(([, value]) => h("input", { type: "radio", name: group, value, onchange: () => choose(value) }));

  function choose(value) {
    onChange(value === 1 ? undefined : value);
    showError(null);
    update();
  }

  /** Shows the chosen size, in pixels once there is a photograph. */
  function update() {
    const { scale, long_side: longSide } = draft.params;
    for (const input of inputs) input.checked = !longSide && Number(input.value) === (scale ?? 1);
    const photo = activePhoto();
    if (photo?.width) {
      const [width, height] = dreamSize(photo.width, photo.height, draft.params);
      fill(hint, `${width} × ${height} pixels`);
    } else fill(hint, longSide ? `${longSide} pixels on the longer side` : "Compared with the photograph.");
  }

  function showError(fieldError) {
    for (const input of inputs) {
      if (fieldError) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    slot.show(fieldError, (suggestion) => choose(Number(suggestion)));
  }

  const labels = inputs.map((input, index) => h("label", null, input, SIZES[index][0]));
  const node = h(
    "fieldset",
    { className: "field", "data-path": "params.scale" },
    h("legend", { className: "label" }, "Size"),
    h("div", { className: "segments", "aria-describedby": `${hint.id} ${slot.node.id}` }, labels),
    hint,
    slot.node,
  );
  update();
  return { node, path: "params.scale", update, showError, focus: () => (inputs.find((one) => one.checked) ?? inputs[1]).focus() };
}
