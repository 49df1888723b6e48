/** What the billing page asks the server, with the cookie of who is signed in. */

const SESSION = "/api/v1/staff/session";

/**
 * @typedef {{
 *   staff: {id: string, name: string, role: string, scopes: string[]},
 *   organization: {id: string, name: string}, timezone: string,
 * }} Session
 * @typedef {{id: string, name: string}} Person
 */

/** A refusal of the API. `code` as docs/errors.md lists them. */
export class Refused extends Error {
  /** @param {number} status  @param {string} code  @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/**
 * @param {string} path  @param {AbortSignal} [abort]
 * @returns {Promise<any>} rejects with `Refused`, or as fetch does when the server is away
 */
export async function get(path, abort) {
  const headers = { accept: "application/json" };
  return answerOf(await fetch(path, { headers, ...(abort ? { signal: abort } : {}) }));
}

/**
 * @param {string} path  @param {unknown} body  @param {Record<string, string>} headers
 * @returns {Promise<any>} as `get`
 */
export async function post(path, body, headers) {
  const all = { "content-type": "application/json", accept: "application/json", ...headers };
  return answerOf(await fetch(path, { method: "POST", headers: all, body: JSON.stringify(body) }));
}

/** @param {Response} response */
async function answerOf(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Refused(response.status, problem.code ?? "unknown", problem.detail ?? "");
}

/** @returns {Promise<Session | null>} who is signed in */
export async function currentStaff() {
  try {
    return await get(SESSION);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

/**
 * @param {string} username  @param {string} password
 * @returns {Promise<"ok" | "wrong" | "too_many" | "unreachable">}
 */
export async function signInStaff(username, password) {
  try {
    await post(SESSION, { username, password }, {});
    return "ok";
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) return "unreachable";
    return error.status === 429 ? "too_many" : "wrong";
  }
}

/** @returns {Promise<void>} */
export async function signOutStaff() {
  await fetch(SESSION, { method: "DELETE" });
}
