// Building elements. Nothing here, or anywhere, parses HTML from strings.

const SVG = "http://www.w3.org/2000/svg";
const ATTRIBUTES = new Set(["list", "form", "role"]); // readable as properties, but not to be set as such
const ICONS = new URL("../../icons.svg", import.meta.url).pathname;

/**
 * An element. `on…` are listeners, `style` and `dataset` are objects, null and false leave a property out.
 * Properties are set in the order given: a range's `min` and `max` before its `value`.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...any} children nodes, texts, or lists of them; null and false are skipped
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, String(v));
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name in element && !ATTRIBUTES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

/** @returns {(Node | string)[]} */
function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replaces what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** A line icon from our own sheet; always decoration, the text beside it speaks. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon; without a visible text, `label` is its name and its tooltip. */
export function button(label, { icon: symbol, onclick, ...props } = {}, visible = true) {
  return h(
    "button",
    { type: "button", onclick, ...(visible ? {} : { "aria-label": label, title: label }), ...props },
    symbol && icon(symbol),
    visible && label,
  );
}

/** Text in which `names` between backticks are set as code. */
export function sentence(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
}

let counter = 0;
/** An id that no other element has. */
export function uid(stem = "x") {
  counter += 1;
  return `${stem}-${counter}`;
}

/** The address of one of our own files. */
export function asset(path) {
  return new URL(`../../${path}`, import.meta.url).pathname;
}

/** Whether movement is unwelcome. */
export function prefersStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
