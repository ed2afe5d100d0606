// Starts the page: theme, session and routes.

import { hooks } from "./core/api.js";
import { speak } from "./core/announce.js";
import { fill, icon } from "./core/dom.js";
import { go, route, start } from "./core/router.js";
import { showSession } from "./core/session.js";

const THEMES = ["auto", "light", "dark"];
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

/** Loads a view when it is first visited. */
const view = (path, name) => async (visit) => (await import(path))[name](visit);

route("/", view("./views/dream.js", "dreamView"));
route("/jobs/:id", view("./views/job.js", "jobView"));
route("/gallery", view("./views/gallery.js", "galleryView"));
route("/layers", view("./views/layers.js", "layersView"));
route("/status", view("./views/status.js", "statusView"));
route("/login", view("./views/login.js", "loginView"));

for (const link of document.querySelectorAll(".nav a")) link.prepend(icon(link.dataset.icon));

setUpTheme();
hooks.onUnauthorized = () => {
  if (location.pathname !== "/login") go(`/login?next=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
};
showSession();
start();

function setUpTheme() {
  const toggle = document.getElementById("theme");
  const chosen = () => document.documentElement.dataset.theme ?? "auto";
  const draw = () => {
    fill(toggle, icon(THEME_ICONS[chosen()]));
    toggle.ariaLabel = `Theme: ${chosen()}. Change`;
    toggle.title = `Theme: ${chosen()}`;
  };
  toggle.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // storage is blocked: the choice lasts until the page is closed
    }
    draw();
    speak(`Theme ${next}`);
  });
  draw();
}
