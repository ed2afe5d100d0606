// The HTTP interface: requests, and problems.

/** A refusal as RFC 9457 describes it. */
export class Problem extends Error {
  /** @param {{status: number, detail?: string, title?: string, code?: string, path?: string, suggestion?: string, errors?: any[]}} body */
  constructor(body, retryAfterS = null) {
    super(body.detail || body.title || `The server answered ${body.status}.`);
    this.status = body.status;
    this.code = body.code ?? "";
    this.retryAfterS = retryAfterS;
    /** @type {{path: string, detail: string, suggestion: string | null}[]} */
    this.mistakes = body.errors?.length
      ? body.errors.map((m) => ({ path: m.path ?? "", detail: m.detail, suggestion: m.suggestion ?? null }))
      : [{ path: body.path ?? "", detail: body.detail ?? this.message, suggestion: body.suggestion ?? null }];
  }
}

/** The server can't be reached at all. */
export class Away extends Problem {
  constructor() {
    super({ status: 0, code: "away", detail: "The server can't be reached right now. Nothing is lost; try again in a moment." });
  }
}

/** Called when a session is missing; the application sets it. */
export const hooks = { onUnauthorized: () => {} };

const HEADERS = { "X-Requested-With": "dreamqueue" };

/**
 * A response that is fine, or a Problem.
 * @param {string} path
 * @param {{method?: string, json?: any, body?: any, headers?: Record<string, string>, signal?: AbortSignal, quiet401?: boolean}} [options]
 */
export async function request(path, { method = "GET", json, body, headers = {}, signal, quiet401 = false } = {}) {
  const all = { ...HEADERS, ...headers };
  if (json !== undefined) all["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
  if (response.ok || response.status === 304) return response;
  if (response.status === 401 && !quiet401) hooks.onUnauthorized();
  throw await problemOf(response);
}

/** The JSON at an address. */
export async function get(path, options) {
  return (await request(path, options)).json();
}

async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return problemFrom(response.status, await response.text(), retryAfter);
}

/** A Problem from a status and a body that may or may not be JSON. */
export function problemFrom(status, text, retryAfterS = null) {
  try {
    return new Problem({ ...JSON.parse(text), status }, retryAfterS);
  } catch {
    const away = status === 0 || status >= 502;
    return away ? new Away() : new Problem({ status, detail: `The server answered ${status} without saying why.` });
  }
}

const cache = new Map();
/** Like get, but asked once per page load; failures are not kept. */
export function once(path) {
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

/** One of the records in the OpenAPI document. */
export async function schema(name) {
  return (await once("/openapi.json")).components.schemas[name];
}
