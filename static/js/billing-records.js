/** Records of a range of time: filters, sums, and a table by days, newest first. */

import { make, ref, setText, show } from "./dom.js";
import { duration } from "./billing-format.js";
import { hashOf } from "./billing-route.js";

/** @typedef {import("./billing-format.js").ClinicTimes} ClinicTimes */
/** @typedef {import("./billing-route.js").RecordsRoute} RecordsRoute */
/** @typedef {import("./billing-api.js").Person} Person */
/** @typedef {import("./i18n.js").Words} Words */
/**
 * @typedef {{
 *   record_id: string, kind: "original" | "adjustment" | "void", settled_at: string,
 *   physician_id: string, department: string, voice_s: number, video_s: number, currency: string,
 *   charge_fen: number,
 * }} Found
 * @typedef {{
 *   currency: string, calls: number, records: number, voice_s: number, video_s: number,
 *   charge_fen: number, insurer_fen: number, patient_fen: number, platform_fen: number,
 *   physician_fen: number,
 * }} Total
 * @typedef {{
 *   data: Found[], next_cursor: string | null, from: string, to: string, totals: Total[] | null,
 *   physicians: Person[] | null, departments: string[] | null,
 * }} FoundPage
 */

const PARTS = /** @type {const} */ ([
  "charge_fen",
  "insurer_fen",
  "patient_fen",
  "platform_fen",
  "physician_fen",
]);

/** The table grows by pages; what was shown before stays. */
export class RecordsView {
  /** @param {Words} words  @param {ClinicTimes} times */
  constructor(words, times) {
    this.words = words;
    this.times = times;
    /** @type {Map<string, string>} */
    this.names = new Map();
    this.day = "";
    /** @type {HTMLTableSectionElement | null} */
    this.body = null;
  }

  /** @param {RecordsRoute} route  @param {FoundPage} page  the first one */
  begin(route, page) {
    this.names = new Map(page.physicians?.map(({ id, name }) => [id, name || id]));
    this.day = "";
    for (const body of ref("found").querySelectorAll("tbody")) body.remove();
    this.filters(route, page);
    this.totals(page.totals ?? []);
    const { from, to } = page;
    const csv = new URLSearchParams({ from, to, bom: "true" });
    ref("records-csv").setAttribute("href", `/api/v1/records.csv?${csv}`);
    const ndjson = new URLSearchParams({ from, to });
    ref("records-ndjson").setAttribute("href", `/api/v1/records.ndjson?${ndjson}`);
    show(ref("downloads"), page.data.length > 0);
    show(ref("found"), page.data.length > 0);
    show(ref("found-none"), page.data.length === 0);
    this.append(page);
  }

  /** @param {FoundPage} page */
  append(page) {
    for (const found of page.data) {
      const key = this.times.dayKey(found.settled_at);
      if (key !== this.day || this.body === null) this.newDay(key, found.settled_at);
      this.body?.append(this.row(found));
    }
    show(ref("more"), page.next_cursor !== null);
  }

  /** @param {string} key  @param {string} at */
  newDay(key, at) {
    this.day = key;
    const head = make("th", { text: this.times.day(at) });
    head.scope = "rowgroup";
    head.colSpan = 6;
    this.body = make("tbody", {}, make("tr", { class: "day" }, head));
    ref("found").append(this.body);
  }

  /** @param {Found} found */
  row(found) {
    const { words } = this;
    const link = make("a", { text: this.times.time(found.settled_at), testid: "open-record" });
    link.href = hashOf({ view: "record", id: found.record_id });
    const settled = make("th", {}, link);
    settled.scope = "row";
    if (found.kind !== "original")
      settled.append(make("span", { class: "tag strong", text: words.t(`bill.kind.${found.kind}`) }));
    const cell = (/** @type {string} */ text, /** @type {import("./i18n.js").Key} */ label) => {
      const made = make("td", { text });
      made.dataset.label = words.t(label);
      return made;
    };
    const cells = [
      cell(this.names.get(found.physician_id) ?? found.physician_id, "bill.physician"),
      cell(found.department || words.t("bill.no_department"), "bill.department"),
      cell(found.video_s ? duration(found.video_s) : "–", "mode.video"),
      cell(found.voice_s ? duration(found.voice_s) : "–", "mode.voice"),
      cell(words.money(found.charge_fen, found.currency), "bill.charge"),
    ];
    for (const number of cells.slice(2)) number.className = "number";
    return make("tr", { testid: "found-record" }, settled, ...cells);
  }

  /** @param {readonly Total[]} totals */
  totals(totals) {
    const { words } = this;
    const facts = (/** @type {Total} */ total) => {
      const money = PARTS.map((part) => [
        words.t(`bill.${part}`),
        words.money(total[part], total.currency),
      ]);
      return [
        [words.t("bill.calls"), words.number(total.calls, 0)],
        [words.t("mode.video"), duration(total.video_s)],
        [words.t("mode.voice"), duration(total.voice_s)],
        ...money,
      ];
    };
    const cards = totals.map((total) => {
      const pairs = facts(total).map(([term = "", value = ""]) =>
        make("div", {}, make("dt", { text: term }), make("dd", { text: value })),
      );
      return make("dl", { class: "sums", testid: "total" }, ...pairs);
    });
    ref("totals").replaceChildren(...cards);
  }

  /** @param {RecordsRoute} route  @param {FoundPage} page */
  filters(route, page) {
    const form = /** @type {HTMLFormElement} */ (ref("filters"));
    const field = (/** @type {string} */ name) =>
      /** @type {HTMLInputElement | HTMLSelectElement} */ (form.elements.namedItem(name));
    field("from").value = route.from;
    field("to").value = route.to;
    field("mode").value = route.mode ?? "";
    const people = [...this.names].sort((a, b) => a[1].localeCompare(b[1], this.words.language));
    this.options(field("physician"), people, route.physician);
    const labels = (page.departments ?? []).map((name) => {
      const text = name || this.words.t("bill.no_department");
      return /** @type {[string, string]} */ ([`=${name}`, text]);
    });
    const chosen = route.department === null ? null : `=${route.department}`;
    this.options(field("department"), labels, chosen);
  }

  /** @param {Element} select  @param {[string, string][]} choices  @param {string | null} chosen */
  options(select, choices, chosen) {
    const all = [["", this.words.t("bill.all")], ...choices];
    if (chosen !== null && !all.some(([value]) => value === chosen))
      all.push([chosen, chosen.replace(/^=/, "")]);
    const made = all.map(([value = "", text = ""]) => new Option(text, value));
    select.replaceChildren(...made);
    /** @type {HTMLSelectElement} */ (select).value = chosen ?? "";
  }
}

/**
 * What the form asks for.
 * @param {HTMLFormElement} form  @returns {RecordsRoute}
 */
export function wantedBy(form) {
  const given = new FormData(form);
  const text = (/** @type {string} */ name) => String(given.get(name) ?? "");
  const [first, last] = [text("from"), text("to")].sort();
  const [mode, department] = [text("mode"), text("department")];
  return {
    view: "records",
    from: first ?? "",
    to: last ?? "",
    physician: text("physician") || null,
    department: department === "" ? null : department.slice(1),
    mode: mode === "voice" || mode === "video" ? mode : null,
  };
}

/** @param {Words} words  @param {RecordsView} view  @param {string} text  for screen readers */
export function tellFound(words, view, text) {
  setText(ref("live-polite"), view.day === "" ? words.t("bill.none") : text);
}
