// Where keys are on: a key for a session.

import { request } from "../core/api.js";
import { button, fill, h, icon, uid } from "../core/dom.js";
import { go } from "../core/router.js";
import { showSession } from "../core/session.js";
import { mistakeSlot } from "../dream/fields.js";

export async function loginView({ query }) {
  const slot = mistakeSlot();
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
    complain(null);
    if (!key.value.trim()) return complain({ detail: "Paste your key here.", suggestion: null });
    send.disabled = true;
    try {
      await request("/v1/session", { method: "POST", json: { key: key.value.trim() }, quiet401: true });
    } catch (problem) {
      send.disabled = false;
      return complain(problem.mistakes[0]);
    }
    await showSession();
    return go(safe(query.get("next")), { replace: true });
  }

  function complain(mistake) {
    if (mistake) key.setAttribute("aria-invalid", "true");
    else key.removeAttribute("aria-invalid");
    slot.show(mistake);
    if (mistake) key.focus();
  }

  const node = h(
    "section",
    { className: "login" },
    document.querySelector(".brand .mark").cloneNode(true),
    h("div", { className: "stack" }, h("h1", null, "Log in"), h("p", { className: "muted" }, "This Dreamqueue is private. Whoever runs it can give you a key.")),
    h("form", { noValidate: true, onsubmit: login }, h("div", { className: "field", "data-path": "key" }, h("label", { for: id, className: "label" }, "Your key"), h("div", { className: "with-button" }, key, reveal), slot.node), send),
  );
  fill(send, "Log in", icon("arrow"));
  return { title: "Log in", node };
}

/** Only our own addresses: a link must not send anybody elsewhere. */
function safe(next) {
  if (!next?.startsWith("/")) return "/";
  const url = new URL(next, location.origin);
  return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : "/";
}
