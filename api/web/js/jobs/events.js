// Watches a job: server-sent events with reconnection, and polling where event streams don't work.

import { Unavailable, problemFrom } from "../core/api.js";
import { isTerminal } from "../core/format.js";

const QUIET_MS = 5_000; // of a stream, after which a poll shows whether the server still answers
const ANSWER_MS = 5_000; // longest wait for that poll's answer, and for every other one
const RETRY_NOW = "dreamqueue:retry-now";
const HIDDEN_MS = 5_000;
const LONGEST_POLL_MS = 2_000;
const LONGEST_WAIT_MS = 8_000; // while the server is unavailable

/**
 * Reports changes of a job until it has ended or the signal is aborted.
 * @param {string} id
 * @param {{signal: AbortSignal, onJob: (job: any) => void, onPreview?: () => void, onConnection?: (up: boolean) => void, onDeleted?: (problem: any) => void}} listeners
 *   onPreview: there may be a newer preview; onConnection: the connection was lost or restored; onDeleted: the job no longer exists.
 */
export async function watchJob(id, { signal, onJob, onPreview = () => {}, onConnection = () => {}, onDeleted = () => {} }) {
  const state = { ended: false, connected: true, etag: "" };
  const setConnected = (connected) => {
    if (connected !== state.connected) onConnection(connected);
    state.connected = connected;
  };
  const receive = (job) => {
    if (state.ended || signal.aborted) return;
    setConnected(true);
    state.ended = isTerminal(job.state);
    onJob(job);
  };
  let waitMs = 500;
  while (!state.ended && !signal.aborted) {
    const received = !document.hidden && (await stream(id, signal, { receive, setConnected, onPreview, onDeleted }, state));
    if (state.ended || signal.aborted) return;
    if (received) waitMs = 500;
    // Poll between two streams, where streams fail, and in a hidden tab.
    try {
      const job = await poll(id, state, signal);
      if (job) receive(job);
      if (state.ended || signal.aborted) return;
      if (job?.progress.fraction > 0) onPreview();
      setConnected(true);
      waitMs = Math.min(waitMs * 1.4, LONGEST_POLL_MS);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 404) return onDeleted(problem);
      if (problem.status === 401) return;
      setConnected(false);
      waitMs = Math.min(waitMs * 1.7, LONGEST_WAIT_MS);
    }
    if (!state.ended) await pause(document.hidden ? HIDDEN_MS : waitMs, signal);
  }
}

/** Reads one stream until it breaks, falls silent or the job has ended. Returns whether it received an event. */
function stream(id, signal, { receive, setConnected, onPreview, onDeleted }, state) {
  return new Promise((done) => {
    const source = new EventSource(`/v1/jobs/${encodeURIComponent(id)}/events`);
    let received = false;
    let quiet;
    const close = () => {
      clearTimeout(quiet);
      source.close();
      signal.removeEventListener("abort", close);
      document.removeEventListener("visibilitychange", close);
      done(received);
    };
    const restartTimer = () => {
      clearTimeout(quiet);
      quiet = setTimeout(check, QUIET_MS);
    };
    // The stream's keepalives are invisible to scripts, so silence alone does not tell whether the server hangs.
    const check = async () => {
      try {
        const job = await poll(id, state, signal);
        setConnected(true);
        if (job) receive(job);
        if (state.ended || source.readyState === EventSource.CLOSED) return close();
        return restartTimer();
      } catch (problem) {
        if (problem instanceof Unavailable) setConnected(false);
        return close(); // the polls that follow tell more
      }
    };
    restartTimer();
    signal.addEventListener("abort", close);
    document.addEventListener("visibilitychange", close); // free the connection: browsers allow six per server over all tabs
    source.onopen = () => {
      setConnected(true);
      restartTimer();
    };
    source.onerror = close; // EventSource's own reconnection gives up on a 503
    source.addEventListener("deleted", () => {
      state.ended = true;
      close();
      onDeleted();
    });
    source.addEventListener("preview", () => {
      restartTimer();
      onPreview();
    });
    source.addEventListener("job", (event) => {
      received = true;
      restartTimer();
      receive(JSON.parse(event.data));
      if (state.ended) close();
    });
  });
}

async function poll(id, state, signal) {
  let response;
  try {
    const headers = { "X-Requested-With": "dreamqueue", ...(state.etag ? { "If-None-Match": state.etag } : {}) };
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    response = await fetch(`/v1/jobs/${encodeURIComponent(id)}`, { headers, signal: limited, cache: "no-store" });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Unavailable();
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
      document.removeEventListener(RETRY_NOW, end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    document.addEventListener("visibilitychange", end);
    document.addEventListener(RETRY_NOW, end);
  });
}

/** Ends the pause before the next attempt to reach the server. */
export function retryNow() {
  document.dispatchEvent(new Event(RETRY_NOW));
}
