// Sends large bodies, with progress.

import { hooks, problemFrom } from "./api.js";

const SILENCE_MS = 10_000; // without a sign of the server, after which the page says so
const LIMIT_MS = 90_000; // of silence, after which the request has failed

/** Sends a body and reports the progress of the upload, which fetch does not support, and silence of the server. */
export function send(url, body, { onProgress, onSilence, signal, headers = {}, method = "POST" }) {
  return new Promise((done, fail) => {
    const call = new XMLHttpRequest();
    let warning;
    let limit;
    const abort = () => call.abort();
    const heard = () => {
      clearTimeout(warning);
      clearTimeout(limit);
      warning = setTimeout(onSilence, SILENCE_MS);
      limit = setTimeout(() => {
        fail(problemFrom(0, ""));
        call.abort();
      }, LIMIT_MS);
    };
    call.onloadend = () => {
      clearTimeout(warning);
      clearTimeout(limit);
      signal.removeEventListener("abort", abort);
    };
    call.open(method, url);
    if (url.startsWith("/")) call.setRequestHeader("X-Requested-With", "dreamqueue");
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => {
      heard();
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    call.onload = () => {
      if (call.status >= 200 && call.status < 300) return done(call.responseText);
      if (call.status === 401 && url.startsWith("/")) hooks.onUnauthorized();
      const retryAfter = url.startsWith("/") && call.getResponseHeader("Retry-After"); // which another origin does not show
      return fail(problemFrom(call.status, call.responseText, Number(retryAfter) || null));
    };
    call.onerror = () => fail(problemFrom(0, ""));
    call.onabort = () => fail(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", abort, { once: true });
    heard();
    call.send(body);
  });
}
