// Compares photograph and dream: a draggable divider, zoom and pan, all usable by keyboard.

import { button, h, icon } from "../core/dom.js";

const MAX_ZOOM = 16;
const KEY_PAN_PX = 60;

/**
 * @param {{before: string | null, after: string, width: number, height: number, stage: HTMLElement}} pictures
 *   addresses of photograph and dream; width and height of the dream
 */
export function comparison({ before, after, width, height, stage }) {
  const state = { zoom: 1, x: 0, y: 0, cut: before ? 0.5 : 0 };
  const dream = h("img", { src: after, alt: "The dream", draggable: false });
  const photo = before ? h("img", { src: before, alt: "The photograph before", draggable: false }) : null;
  const slider = before
    ? h("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": "How much of the photograph is shown", oninput: () => cutAt(slider.value / 100) })
    : null;
  const view = h(
    "div",
    { className: "compare" },
    h("div", { className: "layer after" }, dream),
    photo && h("div", { className: "layer before" }, photo),
    before && [h("span", { className: "chip tag left" }, "Photograph"), h("span", { className: "chip tag right" }, "Dream")],
    before && h("div", { className: "divider" }, h("span", { className: "grip" }, icon("slide"))),
    slider,
  );
  const share = h("span", { className: "num", "aria-live": "off" });
  const bar = h(
    "div",
    { className: "zoom-bar", role: "group", "aria-label": "Zoom" },
    button("Zoom out", { icon: "minus", className: "quiet", onclick: () => zoomBy(1 / 1.5) }, false),
    h("button", { type: "button", className: "quiet", onclick: () => zoomTo(state.zoom === 1 ? Math.max(2, actual()) : 1), title: "Actual size or whole picture" }, share),
    button("Zoom in", { icon: "plus", className: "quiet", onclick: () => zoomBy(1.5) }, false),
    stage.requestFullscreen && button("Full screen", { icon: "fit", className: "quiet", onclick: () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()) }, false),
  );

  /** The zoom at which one image pixel is one screen pixel. */
  const actual = () => 1 / (fit() * devicePixelRatio);
  const fit = () => Math.min(view.clientWidth / width, view.clientHeight / height);

  function place() {
    const scale = fit() * state.zoom;
    const [w, hgt] = [width * scale, height * scale];
    const roomX = Math.max(0, (w - view.clientWidth) / 2);
    const roomY = Math.max(0, (hgt - view.clientHeight) / 2);
    state.x = Math.min(roomX, Math.max(-roomX, state.x));
    state.y = Math.min(roomY, Math.max(-roomY, state.y));
    const left = (view.clientWidth - w) / 2 + state.x;
    const top = (view.clientHeight - hgt) / 2 + state.y;
    for (const image of [dream, photo]) {
      if (!image) continue;
      image.style.width = `${w}px`;
      image.style.height = `${hgt}px`;
      image.style.transform = `translate(${left}px, ${top}px)`;
    }
    view.classList.toggle("zoomed", state.zoom > 1);
    view.classList.toggle("sharp", scale * devicePixelRatio > 3);
    share.textContent = `${Math.round(scale * devicePixelRatio * 100)} %`;
    share.parentElement.ariaLabel = `${share.textContent} of actual size. Switch between the whole picture and actual size`;
    cutAt(state.cut);
  }

  /** Moves the divider; it stays on the image even if that does not fill the frame. */
  function cutAt(cut) {
    state.cut = cut;
    const w = Math.min(view.clientWidth, width * fit() * state.zoom);
    const x = (view.clientWidth - w) / 2 + w * cut;
    view.style.setProperty("--cut", `${x}px`);
    if (slider) slider.ariaValueText = `${Math.round(cut * 100)} percent photograph`;
  }

  function zoomTo(zoom, [px, py] = [view.clientWidth / 2, view.clientHeight / 2]) {
    const next = Math.min(MAX_ZOOM, Math.max(1, zoom));
    const ratio = next / state.zoom;
    const [cx, cy] = [px - view.clientWidth / 2, py - view.clientHeight / 2];
    state.x = cx - (cx - state.x) * ratio;
    state.y = cy - (cy - state.y) * ratio;
    state.zoom = next;
    place();
  }
  const zoomBy = (factor, at) => zoomTo(state.zoom * factor, at);

  const pointers = new Map();
  let grip = null;
  const local = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const cutFrom = ([x]) => {
    const w = Math.min(view.clientWidth, width * fit() * state.zoom);
    cutAt(Math.min(1, Math.max(0, (x - (view.clientWidth - w) / 2) / w)));
    if (slider) slider.value = String(state.cut * 100);
  };
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, local(event));
    const near = Math.abs(local(event)[0] - parseFloat(view.style.getPropertyValue("--cut"))) < 28;
    grip = before && (near || state.zoom === 1) && pointers.size === 1 ? "cut" : "pan";
    if (grip === "cut") cutFrom(local(event));
    view.classList.toggle("grabbing", grip === "pan");
    slider?.focus({ preventScroll: true, focusVisible: false });
  });
  view.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const now = local(event);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const spread = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      zoomBy(spread(now) / spread(last), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (grip === "cut") cutFrom(now);
    else {
      state.x += now[0] - last[0];
      state.y += now[1] - last[1];
      place();
    }
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    view.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      view.classList.remove("grabbing");
    });
  }
  view.addEventListener("dblclick", (event) => zoomTo(state.zoom > 1 ? 1 : Math.max(2, actual()), local(event)));
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && state.zoom === 1) return; // let the page scroll
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), local(event));
  }, { passive: false });
  view.addEventListener("keydown", (event) => {
    const pans = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key === "+" || event.key === "=") zoomBy(1.5);
    else if (event.key === "-") zoomBy(1 / 1.5);
    else if (event.key === "0") zoomTo(1);
    else if (event.shiftKey && pans[event.key]) {
      state.x += pans[event.key][0] * KEY_PAN_PX;
      state.y += pans[event.key][1] * KEY_PAN_PX;
      place();
    } else return;
    event.preventDefault();
  });
  const resized = new ResizeObserver(place);
  resized.observe(view);

  return { nodes: [view, bar], loaded: dream.decode ? dream.decode() : Promise.resolve(), close: () => resized.disconnect() };
}
