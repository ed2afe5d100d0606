// Messages: screen reader announcements, toasts, and dialogs that ask.

import { h, icon } from "./dom.js";

/** Announces the text through a screen reader (polite live region). */
export function speak(text) {
  const speaker = document.getElementById("speaker");
  if (speaker) speaker.textContent = text;
}

/** Shows a short message at the bottom of the page; screen readers announce it. */
export function toast(text, symbol = "check") {
  const box = h("div", { className: "toast" }, icon(symbol), text);
  document.querySelector(".toasts")?.append(box);
  setTimeout(() => box.remove(), 4500);
}

/**
 * Asks for confirmation before an action that costs something.
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes, no = "Keep it" }) {
  return inDialog({ title, yes, no }, h("p", null, text));
}

/**
 * Asks for a line of text.
 * @returns {Promise<string | null>} null if the user would rather not
 */
export async function ask({ title, label, value, yes, no = "Cancel" }) {
  const input = h("input", { type: "text", value, maxLength: 200, autofocus: true, autocomplete: "off" });
  return (await inDialog({ title, yes, no }, h("label", { className: "field" }, label, input))) ? input.value.trim() : null;
}

/** Shows a dialog with that content. Returns whether the user agreed; Enter in a field agrees. */
function inDialog({ title, yes, no }, content) {
  return new Promise((answer) => {
    const buttons = h(
      "div",
      { className: "row" },
      h("button", { type: "button", onclick: () => dialog.close() }, no),
      h("button", { type: "submit", className: "primary", value: "yes" }, yes),
    );
    const dialog = h("dialog", { "aria-label": title }, h("form", { method: "dialog" }, h("h2", null, title), content, buttons));
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
