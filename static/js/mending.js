/**
 * When a connection needs mending, and how: from what arrives, what should, and the time. Pure.
 *
 * Browsers call a path lost after five seconds and more. This page knows sooner: the server says
 * each second whether it carries the other side's media, and whether it hears this one.
 */

/**
 * What a page sees of its connection.
 * @typedef {object} Signs
 * @property {number} received  RTP packets of this connection so far
 * @property {boolean} expected  the other side's media should be arriving
 * @property {boolean} unheard  the server hears nothing from this side, though it sends
 * @property {number} nowMs
 */

/**
 * @typedef {object} Watch
 * @property {number} received
 * @property {number} quietSinceMs  when something last came, or was not expected
 * @property {number} tries  of mending, since all was well
 * @property {number} againAtMs  the next try
 */

/** @typedef {"none" | "restart" | "renew" | "relay"} Remedy */

/** Voice alone is 50 packets a second. */
export const QUIET_MS = 1000;
/** How long an ICE restart may take before a new connection is tried. */
export const RESTART_WITHIN_MS = 2000;
const FIRST_RENEWAL_MS = 3000;
const LONGEST_RENEWAL_MS = 12_000;

/** @param {number} nowMs  @returns {Watch} of a connection about which nothing is known */
export function startWatch(nowMs) {
  return { received: 0, quietSinceMs: nowMs, tries: 0, againAtMs: 0 };
}

/** @param {Watch} watch  @param {Signs} signs  @returns {boolean} media is interrupted */
function troubled(watch, signs) {
  return signs.unheard || (signs.expected && signs.nowMs - watch.quietSinceMs >= QUIET_MS);
}

/**
 * @param {Watch} watch  left untouched
 * @param {Signs} signs
 * @returns {{watch: Watch, trouble: boolean, remedy: Remedy}} the remedy is to be tried at once
 */
export function nextWatch(watch, signs) {
  const { received, nowMs } = signs;
  const arrives = received !== watch.received || !signs.expected;
  const seen = { ...watch, received, quietSinceMs: arrives ? nowMs : watch.quietSinceMs };
  if (!troubled(seen, signs))
    return { watch: { ...seen, tries: 0, againAtMs: 0 }, trouble: false, remedy: "none" };
  if (nowMs < seen.againAtMs) return { watch: seen, trouble: true, remedy: "none" };
  const againAtMs = nowMs + waitMs(seen.tries);
  return {
    watch: { ...seen, tries: seen.tries + 1, againAtMs },
    trouble: true,
    remedy: remedyOf(seen.tries),
  };
}

/** @param {number} tries  before this one  @returns {Remedy} */
function remedyOf(tries) {
  if (tries === 0) return "restart";
  return tries % 2 === 1 ? "renew" : "relay";
}

/** @param {number} tries  @returns {number} how long the next remedy has */
function waitMs(tries) {
  if (tries === 0) return RESTART_WITHIN_MS;
  return Math.min(LONGEST_RENEWAL_MS, FIRST_RENEWAL_MS * 2 ** (tries - 1));
}

/**
 * @param {import("./protocol").State | null} state
 * @param {import("./protocol").Pause | null} pause
 * @param {import("./protocol").Party | "guest"} party  this side
 * @returns {{expected: boolean, unheard: boolean}} what the server says of the media
 */
export function hintsOf(state, pause, party) {
  const live = state === "active";
  return {
    expected: live && pause === null,
    unheard: live && party !== "guest" && (pause === `${party}_silent` || pause === "both_silent"),
  };
}
