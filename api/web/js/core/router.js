// Maps addresses to views. Each view gets a signal that is aborted when it is left.

import { speak } from "./announce.js";
import { fill, h } from "./dom.js";

/** @typedef {{params: Record<string, string>, query: URLSearchParams, signal: AbortSignal, main: HTMLElement}} Visit */

const SLOW_MS = 10_000; // without an answer, after which the page says so

const routes = [];
let current = new AbortController();
let shownAt = "";
const address = () => location.pathname + location.search;

/** Registers a view, (visit) => Promise of {title, node}. Patterns can have parameters: "/jobs/:id". */
export function route(pattern, view) {
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ match: new RegExp(`^${source}$`), names, view });
}

/** Navigates to an address of the page. */
export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  return show();
}

export function start() {
  addEventListener("popstate", () => address() !== shownAt && show()); // ignore changes of the #fragment
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return;
    if (!routes.some(({ match }) => match.test(link.pathname))) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  return show({ first: true });
}

async function show({ first = false } = {}) {
  shownAt = address();
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const main = document.getElementById("main");
  const query = new URLSearchParams(location.search);
  for (const link of document.querySelectorAll(".nav a")) {
    const here = link.pathname === location.pathname || (link.pathname === "/gallery" && location.pathname.startsWith("/jobs/"));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const found = routes.map((r) => ({ ...r, hit: location.pathname.match(r.match) })).find((r) => r.hit);
  let view = found ? found.view : notFound;
  const params = Object.fromEntries((found?.names ?? []).map((name, i) => [name, decodeURIComponent(found.hit[i + 1])]));
  let shown;
  const slow = setTimeout(() => !signal.aborted && fill(main, slowView()), SLOW_MS);
  try {
    shown = await view({ params, query, signal, main });
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === undefined) console.error(error); // not an error response: a bug
    shown = errorView(error);
  } finally {
    clearTimeout(slow);
  }
  if (signal.aborted) return;
  document.title = shown.title ? `${shown.title} · Dreamqueue` : "Dreamqueue";
  fill(main, shown.node);
  shown.shown?.();
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
    speak(shown.title ?? "Dreamqueue");
  }
}

async function notFound() {
  const node = h(
    "div",
    { className: "empty" },
    h("h1", null, "Page not found"),
    h("p", null, "The address may be mistyped, or its content was deleted."),
    h("a", { className: "button primary", href: "/" }, "Start a dream"),
  );
  return { title: "Page not found", node };
}

/** Shown while another view is loading for long; it is replaced as soon as that has loaded. */
function slowView() {
  return h(
    "div",
    { className: "empty", role: "alert" },
    h("h1", null, "The server does not answer"),
    h("p", null, "There has been no answer for 10 seconds. Nothing is lost, and the page keeps waiting."),
    h("button", { type: "button", className: "primary", onclick: () => show() }, "Try again"),
  );
}

/** The view for an error while another view was loading. */
function errorView(error) {
  const missing = error.status === 404;
  const node = h(
    "div",
    { className: "empty" },
    h("h1", null, missing ? "Dream not found" : "Something went wrong"),
    h("p", null, missing ? "It may have been deleted, or it belongs to another owner." : error.message),
    missing
      ? h("a", { className: "button", href: "/gallery" }, "Go to the gallery")
      : h("button", { type: "button", className: "primary", onclick: () => show() }, "Try again"),
  );
  return { title: missing ? "Not found" : "Error", node };
}

/** Reloads the current view. */
export function refresh() {
  return show();
}
