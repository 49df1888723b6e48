/** Statements of a month as tables, one for each currency: on the screen and on paper. */

import { make, ref, setText } from "./dom.js";
import { columnHead } from "./billing-record.js";
import { duration } from "./billing-format.js";

/** @typedef {import("./billing-format.js").ClinicTimes} ClinicTimes */
/** @typedef {import("./billing-route.js").StatementRoute} StatementRoute */
/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {Record<string, number>} Amounts */
/**
 * @typedef {{currency: string, calls: number, adjustments: Amounts, net: Amounts}
 *   & Record<string, any>} Row
 * @typedef {{
 *   month: string, timezone: string, complete: boolean, data: Row[], totals: Row[],
 * }} Statement
 * @typedef {{head: Key, value: (row: Row) => string}} Column
 */

/** @type {readonly [Key, string][]} */
const EARNED = [
  ["bill.fee_fen", "fee_fen"],
  ["bill.platform_fen", "platform_fen"],
  ["bill.payout", "physician_fen"],
];
/** @type {readonly [Key, string][]} */
const BILLED = [
  ["bill.payable_fen", "payable_fen"],
  ["bill.insurer_fen", "insurer_fen"],
  ["bill.patient_fen", "patient_fen"],
  ["bill.platform_fen", "platform_fen"],
  ["bill.physician_fen", "physician_fen"],
];

/**
 * @param {StatementRoute} route  @param {Statement} found  @param {string} clinic
 * @param {Words} words  @param {ClinicTimes} times
 */
export function renderStatement(route, found, clinic, words, times) {
  const form = /** @type {HTMLFormElement} */ (ref("statement-form"));
  /** @type {RadioNodeList} */ (form.elements.namedItem("of")).value = route.of;
  /** @type {HTMLInputElement} */ (form.elements.namedItem("month")).value = route.month;
  const csv = ref("statement-csv");
  csv.setAttribute("href", `/api/v1/statements/${route.of}.csv?month=${route.month}`);
  csv.setAttribute("download", `${route.of}-${route.month}.csv`);
  setText(ref("statement-clinic"), clinic);
  const month = times.month(route.month);
  setText(ref("statement-title"), words.t(`bill.title.${route.of}`, { month }));
  const state = words.t(found.complete ? "bill.complete" : "bill.provisional");
  setText(ref("statement-words"), `${state} ${words.t("bill.month_words", { zone: found.timezone })}`);
  setText(ref("statement-made"), words.t("bill.made_at", { time: times.full(new Date().toISOString()) }));
  const tables = found.totals.map((total) => table(route, found, total, words));
  const none = make("p", { class: "empty", text: words.t("bill.none"), testid: "statement-none" });
  ref("statement-tables").replaceChildren(...(tables.length > 0 ? tables : [none]));
}

/**
 * The columns of the calls, of the adjustments, and the last one.
 * @param {StatementRoute} route  @param {Words} words
 * @returns {{calls: Column[], adjustments: Column[], net: Column}}
 */
function columnsOf({ of }, words) {
  const physicians = of === "physicians";
  const whole = physicians ? "physician_fen" : "payable_fen";
  const [unit, per_s] = physicians ? ["ms", 1000] : ["s", 1];
  const number = (/** @type {number | undefined} */ count) => words.number(count ?? 0, 0);
  const change = (/** @type {Row} */ row) => words.money(row.adjustments[whole] ?? 0, row.currency);
  return {
    calls: [
      { head: "bill.calls", value: (row) => number(row.calls) },
      { head: "mode.video", value: (row) => duration(row[`video_${unit}`] / per_s) },
      { head: "mode.voice", value: (row) => duration(row[`voice_${unit}`] / per_s) },
      ...(physicians ? EARNED : BILLED).map(([head, name]) => ({
        head,
        value: (/** @type {Row} */ row) => words.money(row[name], row.currency),
      })),
    ],
    adjustments: [
      { head: "bill.number", value: (row) => number(row.adjustments.count) },
      { head: "bill.change", value: change },
    ],
    net: {
      head: physicians ? "bill.net_payout" : "bill.net_payable",
      value: (row) => words.money(row.net[whole] ?? 0, row.currency),
    },
  };
}

/** @param {StatementRoute} route  @param {Statement} found  @param {Row} total  @param {Words} words */
function table(route, found, total, words) {
  const { calls, adjustments, net } = columnsOf(route, words);
  /** @type {Key[]} */
  const subjects = route.of === "physicians" ? ["bill.physician"] : ["bill.department", "bill.channel"];
  const upper = make("tr");
  for (const key of subjects) upper.append(head(words.t(key), "col", 1, 2));
  upper.append(head(words.t("bill.calls_of_month"), "colgroup", calls.length, 1));
  upper.append(head(words.t("bill.adjustments_of_month"), "colgroup", adjustments.length, 1));
  upper.append(head(words.t(net.head), "col", 1, 2));
  const lower = make("tr", {}, ...[...calls, ...adjustments].map(({ head: key }) => columnHead(words.t(key))));
  const rows = found.data
    .filter((row) => row.currency === total.currency)
    .map((row) => line(subjectsOf(route, row, words), row));
  const foot = line([words.t("bill.total"), ...subjects.slice(1).map(() => "")], total);
  const made = make(
    "table",
    { class: "statement-table", testid: `statement-${total.currency}` },
    make("caption", { text: words.t("bill.in_currency", { currency: total.currency }) }),
    make("thead", {}, upper, lower),
    make("tbody", {}, ...rows),
    make("tfoot", {}, foot),
  );
  const scroll = make("div", { class: "scroll" }, made);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", words.t("bill.in_currency", { currency: total.currency }));
  return scroll;

  /** @param {string[]} names  @param {Row} row */
  function line(names, row) {
    const [first = "", ...more] = names;
    const begin = head(first, "row", 1, 1);
    const cells = [...calls, ...adjustments, net].map(({ value }) =>
      make("td", { class: "number", text: value(row) }),
    );
    return make("tr", {}, begin, ...more.map((text) => make("td", { text })), ...cells);
  }
}

/** @param {StatementRoute} route  @param {Row} row  @param {Words} words  @returns {string[]} */
function subjectsOf(route, row, words) {
  if (route.of === "physicians") return [row.physician_name || row.physician_id];
  const channel = row.channel === "public_hospital" ? "public_hospital" : "third_party";
  return [row.department || words.t("bill.no_department"), words.t(`bill.channel.${channel}`)];
}

/**
 * @param {string} text  @param {string} scope  @param {number} colSpan  @param {number} rowSpan
 */
function head(text, scope, colSpan, rowSpan) {
  const made = make("th", { text });
  Object.assign(made, { scope, colSpan, rowSpan });
  return made;
}
