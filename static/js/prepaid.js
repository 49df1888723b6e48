/** What is left of a prepaid amount, in figures and in words. Pure. */

import { INTERPOLATE_MS } from "./consult.js";
import { minutesSeconds } from "./i18n.js";

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").Mode} Mode */
/** @typedef {import("./protocol").Party} Party */
/** @typedef {import("./protocol").Prepaid} Prepaid */

/** @typedef {{prepaid?: Prepaid | null, mode: Mode}} View  as much of a view as matters here */
/** @typedef {{limitFen: number, leftFen: number, leftMs: number | null}} Left  null: to the end */

/** From so little on both pages warn. */
export const WARN_MS = 60_000;

/**
 * @param {Prepaid} prepaid  @param {Mode} mode
 * @returns {Left}
 */
export function leftIn(prepaid, mode) {
  const leftS = mode === "voice" ? prepaid.voice_left_s : prepaid.video_left_s;
  const leftFen = Math.max(0, prepaid.limit_fen - prepaid.used_fen);
  return { limitFen: prepaid.limit_fen, leftFen, leftMs: leftS === null ? null : leftS * 1000 };
}

/**
 * What is left now: by the meter, whose last tick is stretched by a second at most; by the view
 * before there is one, and while it knows of a top-up that no tick has told of yet.
 * @param {{view: View | null, meter: import("./consult.js").Meter | null}} page
 * @param {number} nowMs
 * @returns {Left | null} null where there is no limit
 */
export function leftNow({ view, meter }, nowMs) {
  const known = view?.prepaid ?? null;
  const told = meter?.prepaid ?? null;
  if (!meter || !told || (known && known.limit_fen > told.limit_fen))
    return view && known ? leftIn(known, view.mode) : null;
  const aheadMs = meter.running ? Math.min(INTERPOLATE_MS, Math.max(0, nowMs - meter.atMs)) : 0;
  return {
    limitFen: told.limit_fen,
    leftFen: Math.max(0, told.limit_fen - told.used_fen),
    leftMs: told.left_ms === null ? null : Math.max(0, told.left_ms - aheadMs),
  };
}

/**
 * @param {Left | null} left  @param {string} currency  @param {Words} words
 * @returns {string} amount and time, for a corner of the call; empty without a limit
 */
export function leftFigure(left, currency, words) {
  if (!left) return "";
  const amount = words.money(left.leftFen, currency);
  if (left.leftMs === null) return words.t("prepaid.left_amount", { amount });
  const time = minutesSeconds(Math.floor(left.leftMs / 1000));
  return words.t("prepaid.left", { amount, time });
}

/**
 * @param {Left | null} left  @param {Party} party  whose page this is  @param {Words} words
 * @returns {string | null} null while there is nothing to warn of
 */
export function warning(left, party, words) {
  if (!left || left.leftMs === null || left.leftMs > WARN_MS) return null;
  return words.t(`prepaid.warning.${party}`);
}

/**
 * @param {Prepaid} prepaid  @param {Mode} mode  @param {string} currency  @param {Words} words
 * @returns {string} before the call: how much is prepaid, and how long it lasts
 */
export function lasting(prepaid, mode, currency, words) {
  const { leftFen, leftMs } = leftIn(prepaid, mode);
  const amount = words.money(leftFen, currency);
  if (leftMs === null) return words.t("prepaid.left_amount", { amount });
  if (leftMs === 0) return words.t("prepaid.too_low", { amount });
  return words.t(`prepaid.lasts.${mode}`, { amount, time: words.duration(leftMs / 1000) });
}
