// Calls the HTTP API; errors become Problems.

/** An error response (RFC 9457). */
export class Problem extends Error {
  /** @param {{status: number, detail?: string, title?: string, code?: string, path?: string, suggestion?: string, errors?: any[]}} body */
  constructor(body, retryAfterS = null) {
    super(body.detail || body.title || `The server returned ${body.status}.`);
    this.status = body.status;
    this.code = body.code ?? "";
    this.retryAfterS = retryAfterS;
    /** @type {{path: string, detail: string, suggestion: string | null}[]} */
    this.fieldErrors = body.errors?.length
      ? body.errors.map((m) => ({ path: m.path ?? "", detail: m.detail, suggestion: m.suggestion ?? null }))
      : [{ path: body.path ?? "", detail: body.detail ?? this.message, suggestion: body.suggestion ?? null }];
  }
}

/** The server is unavailable. */
export class Unavailable extends Problem {
  constructor() {
    super({ status: 0, code: "unavailable", detail: "The server can't be reached right now. Nothing is lost; try again in a moment." });
  }
}

/** Called when a request needs a log-in; app.js sets it. */
export const hooks = { onUnauthorized: () => {} };

const HEADERS = { "X-Requested-With": "dreamqueue" };
const ANSWER_MS = 20_000; // longest wait for an answer

/**
 * Sends a request and returns the response. Throws Problem for an error response, Unavailable without one.
 * @param {string} path
 * @param {{method?: string, json?: any, body?: any, headers?: Record<string, string>, signal?: AbortSignal, quiet401?: boolean}} [options]
 */
export async function request(path, { method = "GET", json, body, headers = {}, signal, quiet401 = false } = {}) {
  const all = { ...HEADERS, ...headers };
  if (json !== undefined) all["Content-Type"] = "application/json";
  let response;
  try {
    const limit = AbortSignal.timeout(ANSWER_MS);
    const limited = signal ? AbortSignal.any([signal, limit]) : limit;
    response = await fetch(path, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal: limited });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unavailable();
  }
  if (response.ok || response.status === 304) return response;
  if (response.status === 401 && !quiet401) hooks.onUnauthorized();
  throw await problemOf(response);
}

/** Returns the JSON at an address. */
export async function get(path, options) {
  return (await request(path, options)).json();
}

async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return problemFrom(response.status, await response.text(), retryAfter);
}

/** Builds a Problem from a status and a body, which may not be JSON. */
export function problemFrom(status, text, retryAfterS = null) {
  try {
    return new Problem({ ...JSON.parse(text), status }, retryAfterS);
  } catch {
    const unavailable = status === 0 || status >= 502;
    return unavailable ? new Unavailable() : new Problem({ status, detail: `The server returned ${status} without a reason.` });
  }
}

const cache = new Map();
/** Like get, but requested once per page load; failures are not cached. */
export function getCached(path) {
  if (!cache.has(path)) {
    cache.set(
      path,
      get(path).catch((error) => {
        cache.delete(path);
        throw error;
      }),
    );
  }
  return cache.get(path);
}

/** Returns the properties of a schema from the OpenAPI document, with the defaults that it keeps as `x-default`. */
export async function properties(name) {
  const { properties: all = {} } = (await getCached("/openapi.json")).components.schemas[name] ?? {};
  return Object.fromEntries(Object.entries(all).map(([key, one]) => [key, { ...one, default: one["x-default"] }]));
}
