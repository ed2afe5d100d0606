// Creates elements. No code of the page parses HTML from strings.

const SVG = "http://www.w3.org/2000/svg";
const ATTRIBUTES = new Set(["list", "form", "role"]); // read-only as properties
const ICONS = new URL("../../icons.svg", import.meta.url).pathname;

/**
 * Creates an element. `on…` are listeners, `style` and `dataset` are objects; null and false omit a property.
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

/** Replaces the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Creates an icon from icons.svg. Icons are decorative; adjacent text or a label carries the meaning. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

/** Creates a button with an icon. With `visible` false, the label is its accessible name and tooltip instead of its text. */
export function button(label, { icon: symbol, onclick, ...props } = {}, visible = true) {
  return h(
    "button",
    { type: "button", onclick, ...(visible ? {} : { "aria-label": label, title: label }), ...props },
    symbol && icon(symbol),
    visible && label,
  );
}

/** Splits a text into nodes, with code elements for what is between backticks. */
export function sentence(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
}

let counter = 0;
/** Returns a unique element id. */
export function uid(stem = "x") {
  counter += 1;
  return `${stem}-${counter}`;
}

/** Returns the address of one of the page's files. */
export function asset(path) {
  return new URL(`../../${path}`, import.meta.url).pathname;
}

/** Returns whether the user prefers reduced motion. */
export function prefersStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
