/** What is said of a line in trouble: why there are no pictures, and who sends too much. Pure. */

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").LineTrouble} LineTrouble */
/** @typedef {import("./protocol").Party} Party */

/**
 * @param {LineTrouble | null} trouble
 * @param {boolean} video  pictures are agreed on
 * @returns {boolean} they are paused, since a line cannot carry them
 */
export function picturesPaused(trouble, video) {
  return video && trouble !== null && trouble.weak.length > 0;
}

/**
 * @param {LineTrouble | null} trouble
 * @param {boolean} video  pictures are agreed on
 * @param {Party} party  whose page this is
 * @param {string} who  how the other party is called
 * @param {Words} words
 * @returns {string | null} null while there is nothing to say
 */
export function troubleText(trouble, video, party, who, words) {
  if (trouble?.capped.includes(party)) return words.t("line.capped");
  if (!trouble || !picturesPaused(trouble, video)) return null;
  const self = trouble.weak.includes(party);
  if (self && trouble.weak.length > 1) return words.t("line.weak.both");
  return words.t(self ? "line.weak.self" : "line.weak.other", { who });
}
