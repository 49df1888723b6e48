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
 * @property {boolean} pending  an offer is not answered yet
 * @property {boolean} connecting  the connection has never been up: nothing can have passed yet
 * @property {number} nowMs
 */

/**
 * @typedef {object} Watch
 * @property {number} received
 * @property {number} quietSinceMs  when something last came, or was not expected
 * @property {number} tries  of mending, since all was well
 * @property {number} triedAtMs  the last one
 * @property {number} againAtMs  the next one
 */

/** @typedef {"none" | "restart" | "renew" | "relay"} Remedy */

/** Voice alone is 50 packets a second. */
export const QUIET_MS = 1000;
/**
 * How long an ICE restart may take before a new connection is tried. Chromium stays on a pair that
 * was good for 2.5 s: from UDP to TCP a new connection is sooner.
 */
export const RESTART_WITHIN_MS = 1500;
/** How long the answer to an offer may take before that is tried; so long the network is slow. */
export const ANSWER_WITHIN_MS = 5000;
/** After the answer. */
const CONNECT_WITHIN_MS = 1000;
/** A new connection that is cut off before it is up helps nobody. */
const FIRST_RENEWAL_MS = 5000;
const LONGEST_RENEWAL_MS = 20_000;
/** The server finds the two sides silent one after the other; between, nothing is known. */
const FORGET_MS = 10_000;

/** @param {number} nowMs  @returns {Watch} of a connection about which nothing is known */
export function startWatch(nowMs) {
  return { received: 0, quietSinceMs: nowMs, tries: 0, triedAtMs: 0, againAtMs: 0 };
}

/**
 * @param {Watch} watch  left untouched
 * @param {Signs} signs
 * @returns {{watch: Watch, trouble: boolean, remedy: Remedy}} the remedy is to be tried at once
 */
export function nextWatch(watch, signs) {
  const { received, expected, pending, connecting, nowMs } = signs;
  const arrives = received !== watch.received;
  const first = connecting && watch.tries === 0; // whoever connects has a time limit for that
  const unheard = signs.unheard && !first;
  const quietSinceMs = arrives || !expected || first ? nowMs : watch.quietSinceMs;
  const seen = { ...watch, received, quietSinceMs };
  if (!unheard && nowMs - quietSinceMs < QUIET_MS) {
    const well = (expected && arrives) || nowMs - watch.triedAtMs > FORGET_MS;
    return { watch: well ? { ...seen, tries: 0 } : seen, trouble: false, remedy: "none" };
  }
  if (pending && seen.tries > 0 && nowMs - seen.triedAtMs < ANSWER_WITHIN_MS)
    seen.againAtMs = Math.max(seen.againAtMs, nowMs + CONNECT_WITHIN_MS);
  if (seen.tries > 0 && nowMs < seen.againAtMs)
    return { watch: seen, trouble: true, remedy: "none" };
  const tried = { tries: seen.tries + 1, triedAtMs: nowMs, againAtMs: nowMs + waitMs(seen.tries) };
  return { watch: { ...seen, ...tried }, trouble: true, remedy: remedyOf(seen.tries) };
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
