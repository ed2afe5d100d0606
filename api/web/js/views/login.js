// The log-in form, for servers that require keys.

import { request } from "../core/api.js";
import { button, fill, h, icon, uid } from "../core/dom.js";
import { go } from "../core/router.js";
import { showSession } from "../core/session.js";
import { errorSlot } from "../settings/fields.js";

export async function loginView({ query }) {
  const slot = errorSlot();
  const id = uid("key");
  const key = h("input", { type: "password", id, name: "key", autocomplete: "current-password", spellcheck: false, required: true, "aria-describedby": slot.node.id });
  const reveal = button("Show the key", { icon: "eye", className: "icon-only", "aria-pressed": "false", onclick: () => {
    const shown = key.type === "password";
    key.type = shown ? "text" : "password";
    reveal.ariaPressed = String(shown);
  } }, false);
  const send = h("button", { type: "submit", className: "primary large" }, "Log in");

  async function login(event) {
    event.preventDefault();
    showError(null);
    if (!key.value.trim()) return showError({ detail: "Paste your key here.", suggestion: null });
    send.disabled = true;
    try {
      await request("/v1/session", { method: "POST", json: { key: key.value.trim() }, quiet401: true });
    } catch (problem) {
      send.disabled = false;
      return showError(problem.fieldErrors[0]);
    }
    await showSession();
    return go(safe(query.get("next")), { replace: true });
  }

  function showError(fieldError) {
    if (fieldError) key.setAttribute("aria-invalid", "true");
    else key.removeAttribute("aria-invalid");
    slot.show(fieldError);
    if (fieldError) key.focus();
  }

  const node = h(
    "section",
    { className: "login" },
    document.querySelector(".brand .mark").cloneNode(true),
    h("div", { className: "stack" }, h("h1", null, "Log in"), h("p", { className: "muted" }, "This server requires a key. Ask its operator for one.")),
    h("form", { noValidate: true, onsubmit: login }, h("div", { className: "field", "data-path": "key" }, h("label", { for: id, className: "label" }, "Your key"), h("div", { className: "with-button" }, key, reveal), slot.node), send),
  );
  fill(send, "Log in", icon("arrow"));
  return { title: "Log in", node };
}

/** Returns the address if it is on this site, else "/": prevents open redirects. */
function safe(next) {
  if (!next?.startsWith("/")) return "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : "/";
}
