// Following a job: Server-Sent Events, reconnecting by themselves, and polling wherever they don't come through.

import { Away, offers, problemFrom } from "../core/api.js";
import { isTerminal } from "../core/format.js";

const JOB_EVENTS = ["job", "state", "progress", "message", "end"];
const SILENCE_MS = 45_000; // a stream that says nothing for so long is taken for dead; heartbeats come more often
const LONGEST_WAIT_MS = 8_000;

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
  const streams = await offers("/v1/jobs/{job_id}/events").catch(() => false);
  let waitMs = 500;
  while (!state.ended && !signal.aborted) {
    if (streams) {
      const lived = await stream(id, signal, { hear, link, onPreview, onGone }, state);
      if (state.ended || signal.aborted) return;
      if (lived) waitMs = 500;
    }
    // Between two streams, and where there are none: a look at the job itself.
    try {
      const answer = await look(id, state, signal);
      if (answer) hear(answer);
      if (answer?.progress.fraction > 0) onPreview();
      link(true);
      waitMs = streams ? Math.min(waitMs * 2, LONGEST_WAIT_MS) : 900;
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 404) return onGone(problem);
      if (problem.status === 401) return;
      link(false);
      waitMs = Math.min(waitMs * 1.7, LONGEST_WAIT_MS);
    }
    if (!state.ended) await pause(waitMs, signal);
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
      done(lived);
    };
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(close, SILENCE_MS);
    };
    alive();
    signal.addEventListener("abort", close);
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
    for (const name of [...JOB_EVENTS, "heartbeat"]) {
      source.addEventListener(name, (event) => {
        lived = true;
        alive();
        const job = parsed(event.data);
        if (job?.state && job.id) hear(job);
        if (state.ended) close();
      });
    }
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

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a heartbeat, or an event of a newer server
  }
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    }, { once: true });
  });
}
