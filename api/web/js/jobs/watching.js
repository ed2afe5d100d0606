// While it waits and dreams: place in the queue, octave by octave progress, time left, and the picture forming.

import { speak } from "../core/announce.js";
import { button, fill, h, icon } from "../core/dom.js";
import { about, ordinal, speed } from "../core/format.js";
import { formingPicture } from "./forming.js";
import { octaveLadder, whereabouts } from "./octaves.js";

const FIRST_PREVIEW_MS = 2500; // workers store the first one after about two seconds

export function watchPanel({ job, before, stage, signal, actions }) {
  const picture = formingPicture({ id: job.id, before, signal });
  fill(stage, picture.node);
  const number = h("div", { className: "big-number" });
  const bar = h("i");
  const meter = h("div", { className: "meter", role: "progressbar", "aria-label": "Dream progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
  const where = h("p", { className: "muted" });
  const ladder = octaveLadder(job);
  const outage = h("div", { className: "notice", hidden: true }, icon("alert"), h("p", null, "The connection is lost. The dream goes on; this page reconnects by itself."));
  const cancel = button("Cancel", { icon: "close", className: "cancel", onclick: () => actions.cancel(cancel) });
  const node = h("section", { className: "watching", "aria-label": "Progress" }, outage, number, meter, where, ladder.node, h("div", { className: "actions" }, cancel, button("Dream again with changes", { icon: "sliders", className: "quiet", onclick: (event) => actions.again(event.currentTarget) })));
  let spoken = "";

  function update(current) {
    const { progress, state } = current;
    const percent = Math.floor(progress.fraction * 100);
    meter.classList.toggle("waiting", state === "queued");
    meter.ariaValueNow = state === "queued" ? null : String(percent);
    meter.ariaValueText = state === "queued" ? "waiting" : `${percent} percent`;
    bar.style.width = state === "queued" ? "" : `${progress.fraction * 100}%`;
    meter.style.setProperty("--whole", `${Math.max(1, meter.clientWidth)}px`);
    ladder.node.hidden = state === "queued" && !progress.octaves;
    ladder.update(current);
    cancel.disabled = state === "canceling" || !current.links.cancel;
    fill(number, headline(current));
    where.textContent = line(current);
    picture.say(state === "queued" ? "Your photograph, waiting" : state === "canceling" ? "Stopping" : progress.fraction > 0 ? "Forming" : "About to begin");
    if (current.links.preview && Date.now() - new Date(current.started_at) > FIRST_PREVIEW_MS) picture.refresh();
    announce(current, percent);
  }

  /** Spoken at turning points only: a listener wants to know, not to be counted at. */
  function announce(current, percent) {
    const { octave, octaves } = current.progress;
    const now = current.state === "queued" ? `queued ${current.queue_position}` : `${current.state} ${octave} ${percent >= 50}`;
    if (now === spoken) return;
    spoken = now;
    speak(current.state === "queued" ? `${place(current)} in the queue` : current.state === "running" && octaves ? `Dreaming, octave ${octave + 1} of ${octaves}, ${percent} percent` : "Starting");
  }

  return {
    node,
    update,
    preview: () => picture.refresh({ now: true }),
    link(up) {
      outage.hidden = up;
    },
  };
}

function headline({ state, progress, queue_position: position }) {
  if (state === "queued") return position ? [ordinal(position), h("small", null, "in the queue")] : ["Next", h("small", null, "as soon as a worker is free")];
  const percent = `${Math.floor(progress.fraction * 100)} %`;
  if (state === "canceling") return [percent, h("small", null, "stopping at the next tile")];
  const left = progress.eta_seconds;
  return [percent, h("small", null, left === null || left === undefined ? "measuring the pace" : left < 1 ? "nearly there" : `${about(left)} left`)];
}

function line({ state, progress, attempt, waiting_for: waits }) {
  if (state === "queued" && waits) return waits;
  if (state === "queued") return attempt ? "It was interrupted and goes on from where it was." : "You can close this page; the dream waits without you.";
  const pace = progress.pixels_per_second ? `, ${speed(progress.pixels_per_second)}` : "";
  return `${whereabouts(progress)}${pace}`;
}

function place({ queue_position: position }) {
  return position ? ordinal(position) : "Next";
}
