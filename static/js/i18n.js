/**
 * Languages: one catalogue a file, the English one is the measure. To add a third language, write
 * its file and name it here.
 */

import { exponent } from "./currency.js";
import { en } from "./i18n/en.js";
import { zhCN } from "./i18n/zh-CN.js";

/** @typedef {keyof typeof en} Key */
/** @typedef {keyof typeof CATALOGUES} Language */

/** @satisfies {Readonly<Record<string, Readonly<Record<Key, string>>>>} */
export const CATALOGUES = { "zh-CN": zhCN, en };
/** How each language calls itself. @type {Readonly<Record<Language, string>>} */
export const NAMES = { "zh-CN": "中文", en: "English" };

const STORED = "wenzhen-language";

/**
 * @param {readonly string[]} wanted  BCP 47 tags, best first
 * @returns {Language}
 */
export function chooseLanguage(wanted) {
  const known = /** @type {Language[]} */ (Object.keys(CATALOGUES));
  const primary = (/** @type {string} */ tag) => tag.toLowerCase().split("-")[0];
  for (const tag of wanted) {
    const found = known.find((language) => primary(language) === primary(tag));
    if (found) return found;
  }
  return "en";
}

/** Words, numbers and times of one language. */
export class Words {
  /** @param {Language} language */
  constructor(language) {
    this.language = language;
    this.plural = new Intl.PluralRules(language);
    this.clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
  }

  /**
   * @param {Key} key
   * @param {Record<string, string | number>} [values]  for the {names} in the text
   * @returns {string}
   */
  t(key, values = {}) {
    const text = CATALOGUES[this.language][key];
    return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  }

  /**
   * @param {"seconds" | "minutes" | "ahead" | "waiting"} noun  with keys noun_one and noun_other
   * @param {number} count
   * @returns {string}
   */
  count(noun, count) {
    const form = this.plural.select(count) === "one" ? "one" : "other";
    return this.t(`${noun}_${form}`, { count: new Intl.NumberFormat(this.language).format(count) });
  }

  /**
   * @param {number} fen  minor units of the currency  @param {string} currency  ISO 4217
   * @param {number} [more]  at most so many digits behind those of the minor unit
   */
  money(fen, currency, more = 0) {
    const digits = exponent(currency);
    const format = new Intl.NumberFormat(this.language, {
      style: "currency",
      currency,
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: digits,
      maximumFractionDigits: digits + more,
    });
    return format.format(fen / 10 ** digits);
  }

  /** @param {number} value  @param {number} digits  at most so many behind the point */
  number(value, digits) {
    return new Intl.NumberFormat(this.language, { maximumFractionDigits: digits }).format(value);
  }

  /** @param {number} part  0.07 for 7 %, exact to six decimals */
  percent(part) {
    const style = /** @type {const} */ ({ style: "percent", maximumFractionDigits: 4 });
    return new Intl.NumberFormat(this.language, style).format(part);
  }

  /** @param {number} seconds  whole  @returns {string} in words: 3 min 5 s */
  duration(seconds) {
    const minutes = Math.floor(seconds / 60);
    const rest = this.count("seconds", seconds % 60);
    return minutes === 0 ? rest : `${this.count("minutes", minutes)} ${rest}`;
  }

  /** @param {string} at  RFC 3339 */
  time(at) {
    return this.clock.format(new Date(at));
  }
}

/** @param {number} seconds  whole  @returns {string} mm:ss, minutes may pass 59 */
export function minutesSeconds(seconds) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

/** @returns {Language} chosen on this device before, else the browser's */
export function initialLanguage() {
  let stored = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
  return chooseLanguage([...(stored ? [stored] : []), ...navigator.languages]);
}

/** @param {Language} language */
export function rememberLanguage(language) {
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // As above.
  }
}

/** Put the words of a language into the static part of the page.  @param {Words} words */
export function translatePage(words) {
  document.documentElement.lang = words.language;
  for (const element of document.querySelectorAll("[data-i18n]"))
    element.textContent = words.t(/** @type {Key} */ (element.getAttribute("data-i18n")));
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    const text = words.t(/** @type {Key} */ (element.getAttribute("data-i18n-label")));
    element.setAttribute("aria-label", text);
    if (element.matches("button")) element.setAttribute("title", text);
  }
}

/**
 * The switch in the header.
 * @param {Element} holder  @param {Language} current  @param {(language: Language) => void} chosen
 */
export function languageSwitch(holder, current, chosen) {
  const buttons = Object.entries(NAMES).map(([language, name]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.lang = language;
    button.className = "language";
    button.setAttribute("aria-pressed", String(language === current));
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      chosen(/** @type {Language} */ (language));
    });
    return button;
  });
  holder.replaceChildren(...buttons);
}
