// Messages: screen reader announcements, toasts and confirmation dialogs.

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
  return new Promise((answer) => {
    const dialog = h(
      "dialog",
      { "aria-label": title },
      h("h2", null, title),
      h("p", null, text),
      h(
        "div",
        { className: "row" },
        h("button", { type: "button", onclick: () => dialog.close() }, no),
        h("button", { type: "button", className: "primary", onclick: () => dialog.close("yes") }, yes),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
