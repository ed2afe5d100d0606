// The gallery: all jobs, with filters, pages, live progress and deletion.

import { get, request } from "../core/api.js";
import { confirm, speak, toast } from "../core/announce.js";
import { button, fill, h, icon } from "../core/dom.js";
import { isTerminal, ordinal, STATES } from "../core/format.js";
import { refresh } from "../core/router.js";
import { deletePhoto } from "../core/photo-cache.js";
import { announceDeletion, onDeletion } from "../core/tabs.js";
import { describe } from "../jobs/job-name.js";

const PAGE = 24;
const REFRESH_MS = 1500;
const FILTERS = [
  ["All", ""],
  ["Active", "queued,running,canceling"],
  ["Done", "succeeded"],
  ["Failed", "failed"],
  ["Canceled", "canceled"],
];

export async function galleryView({ query, signal }) {
  const state = query.get("state") ?? "";
  const trail = (query.get("after") ?? "").split(".").filter(Boolean); // cursors of the previous pages
  const ask = new URLSearchParams({ kind: "dream", limit: String(PAGE) }); // without what the layer explorer has asked for
  if (state) ask.set("state", state);
  if (trail.length) ask.set("cursor", trail.at(-1));
  const page = await get(`/v1/jobs?${ask}`, { signal });
  const cards = await Promise.all(page.jobs.map((job) => card(job, signal)));
  keepFresh(cards, ask, signal);
  onDeletion(signal, (id) => cards.find((one) => one.job.id === id)?.node.remove());

  const head = h("div", { className: "view-head" }, h("h1", null, "Gallery"), filters(state));
  const body = cards.length ? h("ul", { className: "wall" }, cards.map((one) => one.node)) : empty(state, trail.length > 0);
  return { title: "Gallery", node: h("div", null, head, body, pager(state, trail, page.next_cursor)) };
}

function address(state, trail) {
  const query = new URLSearchParams();
  if (state) query.set("state", state);
  if (trail.length) query.set("after", trail.join("."));
  return `/gallery${query.size ? `?${query}` : ""}`;
}

function filters(state) {
  return h("nav", { className: "filters", "aria-label": "Filter" }, FILTERS.map(([label, value]) => h("a", { href: address(value, []), "aria-current": value === state ? "true" : null }, label)));
}

function pager(state, trail, next) {
  if (!next && !trail.length) return null;
  return h(
    "nav",
    { className: "pager", "aria-label": "Pages" },
    trail.length > 0 && h("a", { className: "button", href: address(state, trail.slice(0, -1)) }, icon("back"), "Newer"),
    next && h("a", { className: "button", href: address(state, [...trail, next]) }, "Older", icon("arrow")),
  );
}

function empty(state, later) {
  if (state || later) {
    return h("div", { className: "empty" }, h("h2", null, "Nothing here"), h("p", null, "No job has this state."), h("a", { className: "button", href: "/gallery" }, "Show all"));
  }
  return h(
    "div",
    { className: "empty" },
    document.querySelector(".brand .mark").cloneNode(true),
    h("h2", null, "No dreams yet"),
    h("p", null, "Your dreams appear here, with their recipes, until you delete them."),
    h("a", { className: "button primary large", href: "/" }, "Start the first one"),
  );
}

async function card(first, signal) {
  const named = await describe(first);
  const cached = named.cached?.image ? URL.createObjectURL(named.cached.image) : null;
  if (cached) signal.addEventListener("abort", () => setTimeout(() => URL.revokeObjectURL(cached), 2000));
  const picture = h("div", { className: "card-picture" });
  const badge = h("span", { className: "badge" });
  const link = h("a", { href: `/jobs/${first.id}`, title: named.title }, named.title);
  const about = h("p", { className: "ellipsis" });
  const remove = button(`Delete ${named.title}`, { icon: "trash", className: "quiet icon-only slim", onclick: () => erase(first, named.title, node) }, false);
  const node = h("li", { className: "card" }, picture, badge, h("div", { className: "card-text" }, link, about, remove));
  let drawn = null;

  function update(job) {
    const { state, progress } = job;
    badge.hidden = state === "succeeded";
    badge.dataset.state = state;
    badge.textContent = state === "running" ? `${Math.floor(progress.fraction * 100)} %` : state === "queued" ? (job.queue_position ? `${ordinal(job.queue_position)} in the queue` : "Next") : STATES[state];
    about.textContent = named.when;
    const source = pictureOf(job, cached);
    if (source !== drawn) {
      drawn = source;
      const image = source && h("img", { src: source, alt: "", loading: "lazy", decoding: "async" });
      image?.addEventListener("error", () => image.replaceWith(h("div", { className: "none" }, icon("photo"))), { once: true });
      fill(picture, image ?? h("div", { className: "none" }, icon(state === "failed" ? "alert" : "photo")));
    }
    picture.querySelector(".meter")?.remove();
    if (state === "running") picture.append(h("div", { className: "meter" }, h("i", { style: { width: `${progress.fraction * 100}%` } })));
  }

  update(first);
  return { node, update, job: first };
}

/** Returns the address of the result, or of the photograph until then. A running job's preview is reloaded at each tenth. */
function pictureOf(job, cached) {
  if (job.state === "succeeded" && job.links.preview) return job.links.preview;
  if (job.state === "running" && job.links.preview && job.progress.fraction > 0.1) return `${job.links.preview}?at=${Math.floor(job.progress.fraction * 10)}`;
  return job.links.input ?? cached;
}

/** Polls the page while it has active jobs. Event streams would use up the browser's connections. */
async function keepFresh(cards, ask, signal) {
  const live = new Map(cards.filter(({ job }) => !isTerminal(job.state)).map((one) => [one.job.id, one]));
  while (live.size && !signal.aborted) {
    await new Promise((done) => setTimeout(done, REFRESH_MS));
    if (signal.aborted || document.hidden) continue;
    const current = await get(`/v1/jobs?${ask}`, { signal }).catch(() => null); // the server is unavailable; try again at the next refresh
    if (!current) continue;
    const listed = new Map(current.jobs.map((job) => [job.id, job]));
    for (const [id, one] of live) {
      const job = listed.get(id) ?? (await get(`/v1/jobs/${id}`, { signal }).catch((problem) => problem));
      if (job.status === 404) one.node.remove();
      if (job.state) one.update(job);
      if (job.state === "succeeded") speak("A dream is done.");
      if (job.status === 404 || isTerminal(job.state)) live.delete(id);
    }
  }
}

async function erase(job, title, node) {
  const running = !isTerminal(job.state);
  const sure = await confirm({ title: running ? "Stop and delete this dream?" : "Delete this dream?", text: `${title}: its photograph, picture and recipe are removed for good.`, yes: "Delete" });
  if (!sure) return;
  try {
    await request(`/v1/jobs/${job.id}`, { method: "DELETE" });
    await deletePhoto(job.id);
    announceDeletion(job.id);
  } catch (problem) {
    toast(problem.message, "alert");
    return;
  }
  const wall = node.parentElement;
  const next = node.nextElementSibling ?? node.previousElementSibling;
  node.remove();
  toast("Deleted", "trash");
  if (next) next.querySelector("a").focus();
  else if (wall) refresh().then(() => document.getElementById("main").focus());
}

