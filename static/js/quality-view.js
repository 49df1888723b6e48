/** How good both lines are: bars, plain words when somebody can do something, figures on request. */

import { announce, make, ref, setText, show } from "./dom.js";

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").Line} Line */
/** @typedef {import("./protocol").LineReading} Reading */
/** @typedef {import("./protocol").Quality} Quality */
/** @typedef {import("./protocol").Party | "guest"} Viewer */
/** @typedef {{self: Line | null, other: Line | null}} Lines */

/** Whose line is shown beside one's own. */
const OTHER = Object.freeze({ patient: "physician", physician: "patient", guest: "physician" });

const LEVELS = /** @type {const} */ (["none", "bad", "weak", "fair", "good"]);

/**
 * @param {Quality | null} quality
 * @param {Viewer} viewer  whose page this is
 * @param {string} [id]  of the viewer in the call; parties are called as what they are
 * @returns {Lines}
 */
export function linesOf(quality, viewer, id = viewer) {
  const of = (/** @type {string} */ who) =>
    quality?.lines.find((line) => line.participant_id === who) ?? null;
  return { self: of(id), other: of(OTHER[viewer]) };
}

/**
 * What is worth saying: first what the person who reads it can do something about.
 * @param {Line | null} self  @param {Line | null} other
 * @param {string} who  how the other party is called
 * @param {Words} words
 * @returns {string | null} null while both lines are good enough
 */
export function advice(self, other, who, words) {
  if (self && self.reason !== "ok") return words.t(`quality.self.${self.reason}`);
  if (other && other.reason !== "ok")
    return words.t(other.reason === "silent" ? "quality.other.silent" : "quality.other.weak", { who });
  return null;
}

/**
 * @param {Lines} lines  @param {string} who  how the other is called
 * @param {boolean} paused  the page says already why nothing goes on
 * @param {Words} words
 */
export function renderQuality({ self, other }, who, paused, words) {
  show(ref("quality"), self !== null || other !== null);
  bars("quality-self", self, "quality.self", who, words);
  bars("quality-other", other, "quality.other", who, words);
  const text = paused ? null : advice(self, other, who, words);
  show(ref("quality-note"), text !== null);
  setText(ref("quality-note"), text ?? "");
  if (text !== null) announce("polite", text);
  const panel = /** @type {HTMLDetailsElement} */ (ref("quality"));
  if (panel.open) ref("quality-figures").replaceChildren(...figures(self, other, who, words));
}

/**
 * @param {"quality-self" | "quality-other"} name  @param {Line | null} line
 * @param {"quality.self" | "quality.other"} key  @param {string} who  @param {Words} words
 */
function bars(name, line, key, who, words) {
  const element = ref(name);
  show(element, line !== null);
  if (!line) return;
  element.dataset.level = String(line.level);
  const level = words.t(`quality.level.${LEVELS[line.level]}`);
  const label = words.t(key, { who, level, bars: line.level });
  if (element.getAttribute("aria-label") === label) return;
  element.setAttribute("aria-label", label);
  element.title = label;
}

/** @param {Line | null} self  @param {Line | null} other  @param {string} who  @param {Words} words */
function figures(self, other, who, words) {
  const you = words.t("quality.you");
  /** @type {[string, Reading | undefined][]} */
  const columns = [
    [words.t("quality.up", { who: you }), self?.up],
    [words.t("quality.down", { who: you }), self?.down],
    [words.t("quality.up", { who }), other?.up],
    [words.t("quality.down", { who }), other?.down],
  ];
  const unknown = "–";
  /** @param {number | null | undefined} value  @param {string} unit  @param {number} [digits] */
  const figure = (value, unit, digits = 0) =>
    value === null || value === undefined ? unknown : `${words.number(value, digits)}${unit}`;
  /** @type {[import("./i18n.js").Key, (reading: Reading | undefined) => string][]} */
  const rows = [
    ["quality.rtt", (r) => figure(r?.rtt_ms, " ms")],
    ["quality.jitter", (r) => figure(r?.jitter_ms, " ms")],
    ["quality.loss", (r) => figure(r?.loss_pct, " %", 1)],
    ["quality.bitrate", (r) => figure(r && r.bitrate_bps / 1000, " kbit/s")],
    ["quality.fps", (r) => figure(r?.fps, "")],
    ["quality.mos", (r) => figure(r?.mos, "", 1)],
  ];
  const head = make("tr", {}, make("td"), ...columns.map(([text]) => make("th", { text })));
  return [
    head,
    ...rows.map(([key, say]) =>
      make("tr", {}, make("th", { text: words.t(key) }),
        ...columns.map(([, reading]) => make("td", { text: say(reading) }))),
    ),
  ];
}
