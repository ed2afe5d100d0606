// A waiting or running job: queue position, progress per octave, time left and previews.

import { speak } from "../core/announce.js";
import { get } from "../core/api.js";
import { button, fill, h, icon } from "../core/dom.js";
import { count, ordinal } from "../core/format.js";
import { networkNote } from "../settings/network-note.js";
import { previewPicture } from "./preview.js";
import { octaveLadder, progressText } from "./octaves.js";
import { timeLeft } from "./time-left.js";
import { retryNow } from "./events.js";

const FIRST_PREVIEW_MS = 2500; // workers store the first one after about two seconds

export function progressPanel({ job, before, stage, signal, actions }) {
  const picture = previewPicture({ id: job.id, before, signal });
  fill(stage, picture.node);
  const number = h("div", { className: "big-number" });
  const bar = h("i");
  const meter = h("div", { className: "meter", role: "progressbar", "aria-label": "Dream progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
  const details = h("p", { className: "muted" });
  const network = networkNote({ signal });
  const ladder = octaveLadder(job);
  const outage = h(
    "div",
    { className: "notice", hidden: true, role: "alert" },
    icon("alert"),
    h("div", null, h("p", null, "The server does not answer. The dream goes on without this page, which tries again by itself."), button("Try again now", { icon: "again", className: "slim", onclick: retryNow })),
  );
  const cancel = button("Cancel", { icon: "close", className: "cancel wide", onclick: () => actions.cancel(cancel) });
  const again = button("Change and dream another", { icon: "sliders", className: "wide", onclick: (event) => actions.again(event.currentTarget) });
  const node = h("section", { className: "progress-panel", "aria-label": "Progress" }, outage, number, meter, details, network.node, ladder.node, h("div", { className: "actions" }, cancel, again));
  const remaining = timeLeft();
  let announced = "";
  let isOffered = false;

  /** Offers to fetch the network that the dream waits for. */
  async function offerNetwork(current) {
    if (isOffered) return;
    isOffered = true;
    const listed = await get("/v1/models", { signal }).catch(() => null);
    const model = listed?.models.find((one) => one.name === current.params.model);
    if (model && model.availability !== "unavailable") network.show(model, listed.may_fetch);
  }

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
    fill(number, headline(current, state === "running" ? remaining(progress) : null));
    details.textContent = line(current);
    if (state === "queued" && current.waiting_for) offerNetwork(current);
    else network.node.hidden = true;
    picture.setCaption(state === "queued" ? "Your photograph, waiting" : state === "canceling" ? "Stopping" : progress.fraction > 0 ? "In progress" : "Starting");
    if (current.links.preview && Date.now() - new Date(current.started_at) > FIRST_PREVIEW_MS) picture.refresh();
    announce(current, percent);
  }

  /** Announces only milestones, so that a screen reader is not flooded. */
  function announce(current, percent) {
    const { octave, octaves } = current.progress;
    const now = current.state === "queued" ? `queued ${current.queue_position}` : `${current.state} ${octave} ${percent >= 50}`;
    if (now === announced) return;
    announced = now;
    speak(current.state === "queued" ? `${place(current)} in the queue` : current.state === "running" && octaves ? `Dreaming, size ${octave + 1} of ${octaves}, ${percent} percent` : "Starting");
  }

  return {
    node,
    update,
    preview: () => picture.refresh({ now: true }),
    setConnected(connected) {
      outage.hidden = connected;
    },
  };
}

function headline({ state, progress, queue_position: position, waiting_for: waits }, left) {
  if (state === "queued" && waits) return ["Waiting", h("small", null, "for a worker")];
  if (state === "queued") return position ? [ordinal(position), h("small", null, "in the queue")] : ["Next", h("small", null, "as soon as a worker is free")];
  const percent = `${Math.floor(progress.fraction * 100)} %`;
  if (state === "canceling") return [percent, h("small", null, "stopping, and keeping what is done")];
  return [percent, h("small", null, left ?? "measuring the speed")];
}

/** Says why the job waits, or where it is. */
function line({ state, progress, attempt, waiting_for: waits, queue_position: position }) {
  if (state !== "queued") return progressText(progress);
  if (waits) return `${waits} You can close this page.`;
  if (attempt) return "It was interrupted, and goes on where it stopped as soon as a worker is free.";
  const ahead = position ? `It waits because ${count(position, "other dream")} ${position === 1 ? "is" : "are"} ahead of it.` : "It waits because all workers are busy.";
  return `${ahead} You can close this page.`;
}

function place({ queue_position: position }) {
  return position ? ordinal(position) : "Next";
}
