// Says what a network lacks before it can dream, and has its weights fetched on request.

import { get, request } from "../core/api.js";
import { button, fill, h, icon } from "../core/dom.js";
import { bytes } from "../core/format.js";

const REFRESH_MS = 2000; // while the weights are on their way

/**
 * @param {{signal: AbortSignal, onReady?: (name: string) => void}} options onReady: the network can dream now
 * @returns {{node: HTMLElement, show: (model: any, mayFetch: boolean) => void}} show: a model of `GET /v1/models`
 */
export function networkNote({ signal, onReady = () => {} }) {
  const node = h("div", { className: "network-note", role: "status", hidden: true });
  let name = null;

  function show(model, mayFetch) {
    name = model?.name ?? null;
    draw(model, mayFetch);
    if (isFetching(model)) follow(name);
  }

  function draw(model, mayFetch) {
    const parts = model ? lines(model, mayFetch) : [];
    node.hidden = !parts.length;
    fill(node, parts.length > 0 && [icon("download"), h("div", null, parts)]);
  }

  /** Returns what to say about a network that is not ready. */
  function lines(model, mayFetch) {
    const { title, availability, fetch, size_bytes: size, fetched_on_demand: onDemand } = model;
    if (availability === "ready" || !availability) return [];
    if (availability === "unavailable") return [h("p", null, `No worker here can run ${title}. A dream with it waits until one does.`)];
    if (isFetching(model)) {
      const share = fetch.total_bytes ? `, ${bytes(fetch.fetched_bytes)} of ${bytes(fetch.total_bytes)}` : "";
      return [h("p", null, `${title} is being fetched${share}.`)];
    }
    const failed = fetch?.error && h("p", null, `${title} could not be fetched. ${fetch.error}`);
    const needed = !failed && h("p", null, `${title} is not here yet${onDemand ? `, and is fetched when the dream starts: ${bytes(size)}.` : `: ${bytes(size)}.`}`);
    const ask = mayFetch && button(failed ? "Try again" : "Fetch it now", { className: "slim", onclick: (event) => start(event.currentTarget) });
    return [failed || needed, ask || (!onDemand && h("p", { className: "small" }, "Whoever runs this server can fetch it."))].filter(Boolean);
  }

  async function start(control) {
    control.disabled = true;
    const asked = name;
    try {
      await request(`/v1/models/${encodeURIComponent(asked)}/fetch`, { method: "POST", signal });
      follow(asked);
    } catch (problem) {
      control.disabled = false;
      if (!signal.aborted) node.lastElementChild.append(h("p", { className: "field-error" }, problem.message));
    }
  }

  /** Refreshes the note until the weights are there, the fetch has failed or another network is shown. */
  async function follow(asked) {
    let waits = 5; // rounds in which a worker has not begun yet
    while (!signal.aborted && name === asked) {
      const listed = await get("/v1/models", { signal }).catch(() => null);
      const model = listed?.models.find((one) => one.name === asked);
      if (name !== asked || signal.aborted) return;
      if (model) draw(model, listed.may_fetch);
      if (model?.availability === "ready") return onReady(asked);
      if (model && !isFetching(model) && (model.fetch?.error || --waits < 0)) return;
      await new Promise((done) => setTimeout(done, REFRESH_MS));
    }
  }

  return { node, show };
}

const isFetching = (model) => Boolean(model?.fetch && !model.fetch.error);
