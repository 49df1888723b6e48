/** The arithmetic of a charge in words: the server computes it, each step has its own sentence. */

/** @typedef {import("./i18n.js").Words} Words */
/**
 * @typedef {{
 *   step: string, text: string, mode?: "voice" | "video", seconds?: number, fen_60ths?: number,
 *   fen?: number,
 * }} Line
 * @typedef {{
 *   currency: string, voice_fen_per_min: number, video_fen_per_min: number, initial_s: number,
 *   increment_s: number, platform_share: string, fee_bearer: "physician" | "patient",
 * }} Tariff
 */

/**
 * @param {readonly Line[]} lines  @param {Tariff} tariff  @param {Words} words
 * @returns {{step: string, text: string, amount: string}[]} `amount` may be empty
 */
export function stepsOf(lines, tariff, words) {
  return lines.map((line) => ({
    step: line.step,
    text: sentence(line, tariff, words),
    amount: amountOf(line, tariff.currency, words),
  }));
}

/** @param {Line} line  @param {string} currency  @param {Words} words */
function amountOf({ fen, fen_60ths }, currency, words) {
  if (fen_60ths !== undefined) return words.money(fen_60ths / 60, currency, 4);
  return fen === undefined ? "" : words.money(fen, currency);
}

/** @param {Line} line  @param {Tariff} tariff  @param {Words} words */
function sentence(line, tariff, words) {
  const mode = line.mode === undefined ? "" : words.t(`mode.${line.mode}`);
  const seconds = words.number(line.seconds ?? 0, 0);
  switch (line.step) {
    case "waived":
    case "sum":
    case "minimum":
    case "cap":
    case "charge":
    case "physician":
    case "insurer":
    case "patient":
      return words.t(`bill.step.${line.step}`, { seconds });
    case "allowance":
      return words.t("bill.step.allowance", { mode, seconds });
    case "increment": {
      const rule = `${tariff.initial_s}/${tariff.increment_s}`;
      return words.t("bill.step.increment", { mode, seconds, rule });
    }
    case "price": {
      const fen = line.mode === "video" ? tariff.video_fen_per_min : tariff.voice_fen_per_min;
      return words.t("bill.step.price", { mode, seconds, price: words.money(fen, tariff.currency) });
    }
    case "platform": {
      const percent = words.number(Number(tariff.platform_share) * 100, 4);
      return words.t(`bill.step.platform_${tariff.fee_bearer}`, { percent });
    }
    default:
      return line.text;
  }
}
