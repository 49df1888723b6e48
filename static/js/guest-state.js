/** What a guest's page knows, as a value: as consult.js, for those who neither pay nor treat. */

/** @typedef {import("./protocol").GuestMessage} GuestMessage */
/** @typedef {import("./protocol").GuestView} GuestView */
/** @typedef {import("./signal.js").Link} Link */
/** @typedef {"loading" | "invalid" | "moved" | "stopped" | "agree" | "guest-waiting" | "in-call" | "closed"} GuestPhase */

/**
 * @typedef {object} GuestPage
 * @property {Link} link
 * @property {string | null} refused
 * @property {import("./protocol").GoodbyeCode | null} goodbye
 * @property {GuestView | null} view
 * @property {import("./consult.js").Meter | null} meter  of time alone
 * @property {import("./protocol").Pause | null} pause
 * @property {import("./protocol").Roster | null} roster
 * @property {import("./protocol").Quality | null} quality  how good the lines are
 * @property {number} mediaLost
 * @property {readonly import("./protocol").IceServer[]} iceServers
 */

/** @type {GuestPage} */
export const emptyGuest = Object.freeze({
  link: "connecting",
  refused: null,
  goodbye: null,
  view: null,
  meter: null,
  pause: null,
  roster: null,
  quality: null,
  mediaLost: 0,
  iceServers: [],
});

/**
 * @param {GuestPage} page  left untouched
 * @param {GuestMessage} message
 * @param {number} nowMs  monotonic
 * @returns {GuestPage}
 */
export function nextGuest(page, message, nowMs) {
  switch (message.kind) {
    case "hello":
      return { ...page, goodbye: null, view: message.view, pause: message.view.pause };
    case "consult":
      if (page.view && message.view.n < page.view.n) return page;
      return { ...page, view: message.view, pause: message.view.pause };
    case "elapsed": {
      const { consult_id, elapsed_ms, running, pause } = message;
      const time = { consult_id, voice_ms: 0, video_ms: elapsed_ms, running, pause };
      const nothing = /** @type {const} */ ({ charge_fen: 0, currency: "", prepaid: null });
      const meter = /** @type {const} */ ({ kind: "meter", ...nothing, ...time });
      return { ...page, meter: { ...meter, atMs: nowMs }, pause };
    }
    case "quality":
      return { ...page, quality: message };
    case "roster":
      return { ...page, roster: message };
    case "ice_servers":
      return { ...page, iceServers: message.servers };
    case "reconnect_media":
      return { ...page, mediaLost: page.mediaLost + 1 };
    case "goodbye":
      return { ...page, goodbye: message.code };
    case "answer":
      return page;
    default:
      return ((/** @type {never} */ _unknown) => page)(message);
  }
}

/** @param {GuestPage} page  @param {boolean} joined  the person wants to be in the call
 *  @returns {GuestPhase} */
export function guestPhase(page, joined) {
  if (page.refused) return "invalid";
  if (page.goodbye === "moved") return "moved";
  if (page.goodbye === "removed") return "closed";
  if (page.goodbye && page.goodbye !== "server_stopping") return "stopped";
  if (!page.view) return "loading";
  if (!["waiting", "offered", "connecting", "active", "held", "interrupted"].includes(page.view.state))
    return "closed";
  if (!joined) return "agree";
  return page.view.open ? "in-call" : "guest-waiting";
}
