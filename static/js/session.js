/** The physician's session: the server keeps it, the browser holds an HttpOnly cookie. */

const URL = "/api/v1/session";

/** @typedef {{id: string, name: string, title: string}} Physician */

/** @returns {Promise<Physician | null>} who is signed in; rejects when the server is away */
export async function currentPhysician() {
  const response = await fetch(URL, { headers: { accept: "application/json" } });
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`session: ${response.status}`);
  return (await response.json()).physician;
}

/**
 * @param {string} username  @param {string} password
 * @returns {Promise<"ok" | "wrong" | "too_many" | "unreachable">}
 */
export async function signIn(username, password) {
  try {
    const response = await fetch(URL, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username, password }),
    });
    if (response.ok) return "ok";
    if (response.status === 429) return "too_many";
    return response.status < 500 ? "wrong" : "unreachable";
  } catch {
    return "unreachable";
  }
}

/** @returns {Promise<void>} */
export async function signOut() {
  await fetch(URL, { method: "DELETE" });
}
