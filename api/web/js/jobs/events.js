// Following a job: Server-Sent Events, reconnecting by themselves, and polling wherever they don't come through.

import { Away, problemFrom } from "../core/api.js";
import { isTerminal } from "../core/format.js";

const SILENCE_MS = 45_000; // a stream that tells nothing for so long may be dead: a fresh one costs little
const HIDDEN_MS = 5_000;
const LONGEST_LOOK_MS = 2_000;
const LONGEST_WAIT_MS = 8_000; // while the server is away

/**
 * Reports a job until it has ended or the signal ends.
 * @param {string} id
 * @param {{signal: AbortSignal, onJob: (job: any) => void, onPreview?: () => void, onLink?: (up: boolean) => void, onGone?: (problem: any) => void}} listeners
 *   onPreview hears that there may be a newer preview; onLink whether the server can be heard; onGone that there is no such job any more.
 */
export async function follow(id, { signal, onJob, onPreview = () => {}, onLink = () => {}, onGone = () => {} }) {
  const state = { ended: false, up: true, etag: "" };
  const link = (up) => {
    if (up !== state.up) onLink(up);
    state.up = up;
  };
  const hear = (job) => {
    if (state.ended || signal.aborted) return;
    link(true);
    state.ended = isTerminal(job.state);
    onJob(job);
  };
  let waitMs = 500;
  while (!state.ended && !signal.aborted) {
    const lived = !document.hidden && (await stream(id, signal, { hear, link, onPreview, onGone }, state));
    if (state.ended || signal.aborted) return;
    if (lived) waitMs = 500;
    // Between two streams, where none comes through, and out of sight: a look at the job itself.
    try {
      const answer = await look(id, state, signal);
      if (answer) hear(answer);
      if (answer?.progress.fraction > 0) onPreview();
      link(true);
      waitMs = Math.min(waitMs * 1.4, LONGEST_LOOK_MS);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 404) return onGone(problem);
      if (problem.status === 401) return;
      link(false);
      waitMs = Math.min(waitMs * 1.7, LONGEST_WAIT_MS);
    }
    if (!state.ended) await pause(document.hidden ? HIDDEN_MS : waitMs, signal);
  }
}

/** One stream, until it breaks, falls silent or the job has ended; whether anything was heard on it. */
function stream(id, signal, { hear, link, onPreview, onGone }, state) {
  return new Promise((done) => {
    const source = new EventSource(`/v1/jobs/${encodeURIComponent(id)}/events`);
    let lived = false;
    let silence;
    const close = () => {
      clearTimeout(silence);
      source.close();
      signal.removeEventListener("abort", close);
      document.removeEventListener("visibilitychange", close);
      done(lived);
    };
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(close, SILENCE_MS);
    };
    alive();
    signal.addEventListener("abort", close);
    document.addEventListener("visibilitychange", close); // browsers allow six connections per server, over all tabs
    source.onopen = () => {
      link(true);
      alive();
    };
    source.onerror = close; // its own reconnecting gives up on a 503; ours does not, and polls meanwhile
    source.addEventListener("deleted", () => {
      state.ended = true;
      close();
      onGone();
    });
    source.addEventListener("preview", () => {
      alive();
      onPreview();
    });
    source.addEventListener("job", (event) => {
      lived = true;
      alive();
      hear(JSON.parse(event.data));
      if (state.ended) close();
    });
  });
}

async function look(id, state, signal) {
  let response;
  try {
    const headers = { "X-Requested-With": "dreamqueue", ...(state.etag ? { "If-None-Match": state.etag } : {}) };
    response = await fetch(`/v1/jobs/${encodeURIComponent(id)}`, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
  if (response.status === 304) return null;
  if (!response.ok) throw problemFrom(response.status, await response.text());
  state.etag = response.headers.get("ETag") ?? "";
  return response.json();
}

function pause(ms, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      document.removeEventListener("visibilitychange", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    document.addEventListener("visibilitychange", end);
  });
}
