// Paints a mask on the photograph. Painted areas are dreamed; the rest stays unchanged.

import { speak } from "../core/announce.js";
import { button, h, uid } from "../core/dom.js";
import { isBlank, TINT } from "./mask-file.js";

const LONGEST_PX = 1024; // enough for a soft-edged mask
const UNDO_STEPS = 20;
const KEY_STEP = 0.02; // share of the image's longer side

/**
 * @param {import("./draft.js").Photo} photo
 * @param {HTMLElement} frame the element around the image; the canvas covers it
 * @param {() => void} onChange
 */
export function maskPainter(photo, frame, onChange) {
  const factor = Math.min(1, LONGEST_PX / Math.max(photo.width, photo.height));
  const width = photo.mask?.width ?? Math.max(1, Math.round(photo.width * factor));
  const height = photo.mask?.height ?? Math.max(1, Math.round(photo.height * factor));
  const state = { active: false, erase: false, size: 0.16, past: [], at: [width / 2, height / 2], down: false };
  let canvas = null;
  if (photo.mask) show();

  function show() {
    canvas = photo.mask ?? h("canvas", { width, height });
    canvas.className = "mask";
    canvas.tabIndex = -1;
    photo.mask = canvas;
    frame.append(canvas);
  }

  function open() {
    if (!canvas) show();
    state.active = true;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.ariaLabel = "Mask. Arrow keys move the brush, space paints, E switches to erasing, brackets change the size.";
    frame.classList.add("painting");
    listen();
    onChange();
    canvas.focus({ preventScroll: true });
  }

  let ends = null;
  function close() {
    ends?.abort();
    state.active = false;
    frame.classList.remove("painting");
    if (canvas) canvas.tabIndex = -1;
    if (canvas && isBlank(canvas)) discard();
    onChange();
  }

  function discard() {
    canvas?.remove();
    canvas = null;
    photo.mask = null;
    state.past.length = 0;
  }

  function remember() {
    state.past.push(context().getImageData(0, 0, width, height));
    if (state.past.length > UNDO_STEPS) state.past.shift();
  }

  const context = () => canvas.getContext("2d", { willReadFrequently: true });

  function dab([x, y]) {
    const radius = (state.size * Math.max(width, height)) / 2;
    const pen = context();
    const soft = pen.createRadialGradient(x, y, radius * 0.45, x, y, radius);
    soft.addColorStop(0, TINT);
    soft.addColorStop(1, `${TINT}00`);
    pen.globalCompositeOperation = state.erase ? "destination-out" : "source-over";
    pen.fillStyle = soft;
    pen.fillRect(x - radius, y - radius, radius * 2, radius * 2);
  }

  function line(from, to) {
    const distance = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const pace = Math.max(1, (state.size * Math.max(width, height)) / 10);
    for (let gone = pace; gone <= distance; gone += pace) {
      const share = gone / distance;
      dab([from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share]);
    }
    dab(to);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  function listen() {
    ends = new AbortController();
    const { signal } = ends;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      remember();
      state.down = true;
      state.at = place(event);
      dab(state.at);
    }, { signal });
    canvas.addEventListener("pointermove", (event) => {
      moveRing(event);
      if (!state.down) return;
      const to = place(event);
      line(state.at, to);
      state.at = to;
    }, { signal });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (state.down = false), { signal });
    canvas.addEventListener("keydown", keys, { signal });
    signal.addEventListener("abort", () => ring.remove());
    frame.append(ring);
    drawRing();
  }

  const ring = h("span", { className: "brush-ring", "aria-hidden": "true" });
  function moveRing(event) {
    state.at = state.down ? state.at : place(event);
    drawRing(place(event));
  }
  function drawRing([x, y] = state.at) {
    const share = state.size * Math.max(width, height);
    ring.style.setProperty("left", `${(x / width) * 100}%`);
    ring.style.setProperty("top", `${(y / height) * 100}%`);
    ring.style.setProperty("width", `${(share / width) * 100}%`);
  }

  function keys(event) {
    const step = KEY_STEP * Math.max(width, height);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    if (move) {
      const to = [Math.min(width, Math.max(0, state.at[0] + move[0])), Math.min(height, Math.max(0, state.at[1] + move[1]))];
      if (event.shiftKey) line(state.at, to);
      state.at = to;
    } else if (event.key === " ") {
      remember();
      dab(state.at);
    } else if (event.key.toLowerCase() === "e") {
      state.erase = !state.erase;
      speak(state.erase ? "Erasing" : "Painting");
      onChange();
    } else if (event.key === "[" || event.key === "]") {
      state.size = Math.min(0.6, Math.max(0.02, state.size * (event.key === "]" ? 1.25 : 0.8)));
      onChange();
    } else return;
    event.preventDefault();
    drawRing();
  }

  function undo() {
    const before = state.past.pop();
    if (before) context().putImageData(before, 0, 0);
  }

  function invert() {
    remember();
    const pen = context();
    const pixels = pen.getImageData(0, 0, width, height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = 255 - pixels.data[i + 3];
    }
    pen.putImageData(pixels, 0, 0);
    pen.globalCompositeOperation = "source-in"; // erased pixels have no color yet
    pen.fillStyle = TINT;
    pen.fillRect(0, 0, width, height);
  }

  function tools() {
    if (!state.active) {
      return [
        button(photo.mask ? "Edit the mask" : "Dream a part", { icon: "brush", className: "slim", onclick: open }),
        photo.mask && button("Remove the mask", { icon: "erase", className: "slim icon-only", onclick: () => {
          discard();
          onChange();
        } }, false),
      ];
    }
    const id = uid("brush");
    const size = h("input", { type: "range", id, min: 2, max: 60, step: 1, oninput: () => {
      state.size = size.value / 100;
      drawRing();
    } });
    size.value = String(Math.round(state.size * 100));
    const mode = (erase, name, symbol) => button(name, { icon: symbol, className: "slim icon-only", "aria-pressed": String(state.erase === erase), onclick: () => {
      state.erase = erase;
      onChange();
    } }, false);
    return [
      h("p", { className: "hint mask-hint" }, "Paint where the dream should appear; the rest stays unchanged."),
      mode(false, "Brush", "brush"),
      mode(true, "Eraser", "erase"),
      h("label", { className: "hidden", for: id }, "Brush size"),
      h("span", { className: "brush-size" }, size),
      button("Undo", { icon: "undo", className: "slim icon-only", onclick: undo }, false),
      button("Invert", { icon: "swap", className: "slim icon-only", onclick: invert }, false),
      button("Done", { icon: "check", className: "slim primary", onclick: close }),
    ];
  }

  return {
    tools,
    close: () => ends?.abort(),
    get active() {
      return state.active;
    },
  };
}
