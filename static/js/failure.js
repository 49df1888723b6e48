/** A refused command, in words. */

import { CommandRefused } from "./signal.js";

/**
 * @param {import("./i18n.js").Words} words
 * @param {unknown} error
 * @returns {string | null} null where there is nothing to tell
 */
export function failureText(words, error) {
  if (error instanceof DOMException && error.name === "AbortError") return null;
  if (!(error instanceof CommandRefused))
    return words.t("error.generic", { message: String(error) });
  switch (error.code) {
    case "closed":
      return null; // the page says so already
    case "price_changed":
    case "storage_unavailable":
    case "node_full":
    case "prepaid_too_low":
      return words.t(`error.${error.code}`);
    case "already_taken":
      return words.t("error.already_taken", { message: error.message });
    default:
      return words.t("error.generic", { message: error.message || error.code });
  }
}
