// Starts dreams: sends the photographs one by one, and says what went wrong next to the button.

import { button, fill, h, icon } from "../core/dom.js";
import { count } from "../core/format.js";
import { draft } from "./draft.js";
import { keepDraft } from "./draft-store.js";
import { newKey, submit } from "./submit.js";

/**
 * Creates the button, its progress bar and its messages.
 * @param {{what: () => {params: any, options: any}, onStarted: (jobs: any[]) => void,
 *   onRefused: (problem: any) => void, signal: AbortSignal}} options what: what to submit with each photograph
 */
export function launcher({ what, onStarted, onRefused, signal }) {
  const start = h("button", { type: "submit", className: "primary large" });
  const bar = h("i");
  const meter = h("div", { className: "meter", hidden: true, role: "progressbar", "aria-label": "Sending", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
  const message = h("div", { className: "notice bad launch-message", hidden: true, role: "alert" });
  let run = null; // the submission that is on its way
  let jobs = []; // accepted before a later photograph was refused
  let key = null; // of a submission that may have arrived: sent again unchanged, it creates no second job

  /** Shows the button for the current number of photographs. */
  function draw() {
    const photos = draft.photos.length;
    if (!run) fill(start, icon("spark"), photos > 1 ? `Dream ${count(photos, "photograph")}` : "Start dreaming");
  }

  function say(...text) {
    message.hidden = false;
    fill(message, icon("alert"), h("div", null, text));
  }

  function stop() {
    run = null;
    start.disabled = false;
    meter.hidden = true;
    draw();
  }

  function silent() {
    const again = button("Try again", { icon: "again", className: "slim", onclick: () => {
      run?.abort();
      send();
    } });
    say(h("p", null, "The server has not answered for 10 seconds. Your photograph and settings are kept here."), again);
  }

  /** Sends what has not been sent yet. */
  async function send() {
    message.hidden = true;
    const mine = new AbortController();
    run = mine;
    signal.addEventListener("abort", () => mine.abort(), { once: true });
    start.disabled = true;
    meter.hidden = false;
    const waiting = draft.photos.filter((photo) => !photo.accepted);
    const all = draft.photos.length;
    try {
      for (const photo of waiting) {
        draft.active = draft.photos.indexOf(photo);
        const shown = (share) => {
          if (run !== mine) return;
          const whole = (jobs.length + share * 0.98) / all;
          bar.style.setProperty("width", `${whole * 100}%`);
          meter.ariaValueNow = String(Math.round(whole * 100));
          fill(start, share < 1 ? `Sending ${Math.round(whole * 100)} %` : "Checking the photograph");
        };
        shown(0);
        key ??= newKey();
        const { params, options } = what();
        jobs.push(await submit(photo, { params, options, guide: draft.guide, key, onProgress: shown, onSilence: () => run === mine && silent(), signal: mine.signal }));
        photo.accepted = true;
        key = null;
      }
    } catch (problem) {
      if (run !== mine || signal.aborted) return;
      stop();
      if (problem.status) key = null; // the server has answered
      say(h("p", null, `Not started. ${problem.message}`));
      onRefused(problem);
      return;
    }
    for (const photo of draft.photos) Object.assign(photo, { sent: true, accepted: false });
    keepDraft();
    const started = jobs;
    jobs = [];
    onStarted(started);
  }

  return {
    nodes: [message, meter, start],
    draw,
    send,
    say,
    clear: () => (message.hidden = true),
    /** Forgets an unanswered submission and the last refusal, because something else is to be sent now. */
    changed() {
      key = null;
      if (!run) message.hidden = true;
    },
  };
}
