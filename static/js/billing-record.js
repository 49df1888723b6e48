/** One record: the consult, its time line, how its charge came about, its corrections. */

import { make, ref, setText, show } from "./dom.js";
import { duration } from "./billing-format.js";
import { stepsOf } from "./billing-steps.js";
import { draw, legend } from "./billing-timeline-view.js";
import { timelineOf } from "./billing-timeline.js";

/** @typedef {import("./billing-format.js").ClinicTimes} ClinicTimes */
/** @typedef {import("./billing-timeline.js").Segment} Segment */
/** @typedef {import("./billing-timeline.js").Span} Span */
/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {{voice: number, video: number}} ModeSeconds */
/**
 * @typedef {{
 *   record_id: string, consult_id: string, revision: number,
 *   kind: "original" | "adjustment" | "void", seq: number, settled_at: string, prev_hash: string,
 *   hash: string, patient_ref: string, physician_id: string, department: string,
 *   channel: "public_hospital" | "third_party", answered_at: string | null, started_at: string,
 *   ended_at: string, wait_s: number, held_s: number, interrupted_s: number,
 *   mode_seconds: ModeSeconds, segments: Segment[], end_cause: string, end_party: string,
 *   tariff: import("./billing-steps.js").Tariff, tariff_digest: string, currency: string,
 *   charge_fen: number, estimated: boolean, prepaid?: {limit_fen: number} | null,
 *   shares?: {physician_id: string}[], reason?: string, actor?: string,
 *   net?: {mode_seconds: ModeSeconds, charge_fen: number},
 * }} LedgerRecord
 * @typedef {{
 *   records: LedgerRecord[], lines: import("./billing-steps.js").Line[], charge_fen: number,
 *   agrees: boolean, physicians: import("./billing-api.js").Person[],
 * }} Explained
 */

/** @param {Explained} found  @returns {{original: LedgerRecord, latest: LedgerRecord}} */
export function endsOf({ records }) {
  const [original, latest] = [records[0], records.at(-1)];
  if (!original || !latest) throw new Error("a consult has a record");
  return { original, latest };
}

/**
 * @param {Explained} found  @param {Words} words  @param {ClinicTimes} times
 * @param {boolean} mayCorrect  whether the button is shown
 */
export function renderRecord(found, words, times, mayCorrect) {
  const { original, latest } = endsOf(found);
  const names = new Map(found.physicians.map(({ id, name }) => [id, name || id]));
  setText(ref("record-title"), words.t("bill.record_title", { time: times.full(original.started_at) }));
  const tags = found.records.length > 1 ? [words.t(`bill.kind.${latest.kind}`)] : [];
  if (original.estimated) tags.push(words.t("bill.estimated"));
  ref("record-tags").replaceChildren(...tags.map((text) => make("span", { class: "tag strong", text })));
  show(ref("correct"), mayCorrect && latest.kind !== "void");
  facts(original, latest, names, words, times);
  arithmetic(found, words);
  time(original, names, words, times);
  corrections(found, words, times);
  evidence(latest, words, times);
}

/** @param {string} name  of `data-ref`  @param {(readonly [string, string])[]} pairs */
function pairsInto(name, pairs) {
  const made = pairs.map(([term, value]) =>
    make("div", {}, make("dt", { text: term }), make("dd", { text: value })),
  );
  ref(name).replaceChildren(...made);
}

/**
 * @param {LedgerRecord} original  @param {LedgerRecord} latest
 * @param {ReadonlyMap<string, string>} names  @param {Words} words  @param {ClinicTimes} times
 */
function facts(original, latest, names, words, times) {
  const treated = original.shares?.map((share) => share.physician_id) ?? [original.physician_id];
  const net = latest.net ?? latest;
  /** @type {[Key, string][]} */
  const rows = [
    ["bill.charge", words.money(net.charge_fen, original.currency)],
    ["mode.video", duration(net.mode_seconds.video)],
    ["mode.voice", duration(net.mode_seconds.voice)],
    ["bill.physician", treated.map((id) => names.get(id) ?? id).join(", ")],
    ["bill.department", original.department || words.t("bill.no_department")],
    ["bill.channel", words.t(`bill.channel.${original.channel}`)],
    ["bill.patient", original.patient_ref],
    ["bill.began", times.full(original.started_at)],
    ["bill.ended", times.full(original.ended_at)],
    ["bill.end_cause", words.t(/** @type {Key} */ (`bill.cause.${original.end_cause}`))],
    ["bill.waited", duration(original.wait_s)],
    ["bill.held", duration(original.held_s)],
    ["bill.interrupted", duration(original.interrupted_s)],
  ];
  if (original.prepaid)
    rows.push(["bill.prepaid", words.money(original.prepaid.limit_fen, original.currency)]);
  pairsInto(
    "record-facts",
    rows.map(([key, value]) => [words.t(key), value]),
  );
}

/** @param {Explained} found  @param {Words} words */
function arithmetic(found, words) {
  const { original, latest } = endsOf(found);
  const rows = stepsOf(found.lines, original.tariff, words).map(({ step, text, amount }) => {
    const head = make("th", { text });
    head.scope = "row";
    return make("tr", { class: `step-${step}` }, head, make("td", { class: "number", text: amount }));
  });
  if (latest.net) {
    const head = make("th", { text: words.t("bill.step.net") });
    head.scope = "row";
    const amount = words.money(latest.net.charge_fen, original.currency);
    rows.push(make("tr", { class: "step-charge" }, head, make("td", { class: "number", text: amount })));
  }
  withBody("steps", rows);
  setText(ref("agrees"), words.t(found.agrees ? "bill.agrees" : "bill.disagrees"));
  ref("agrees").classList.toggle("field-error", !found.agrees);
}

/** @param {string} name  of a table  @param {HTMLTableRowElement[]} rows  @param {string[]} [heads] */
function withBody(name, rows, heads = []) {
  const table = ref(name);
  for (const old of table.querySelectorAll("thead, tbody")) old.remove();
  if (heads.length > 0) table.append(make("thead", {}, make("tr", {}, ...heads.map(columnHead))));
  table.append(make("tbody", {}, ...rows));
}

/** @param {string} text */
export function columnHead(text) {
  const head = make("th", { text });
  head.scope = "col";
  return head;
}

/** @param {readonly string[]} texts  the first one is the row's head */
function rowOf(texts) {
  const [first = "", ...rest] = texts;
  const head = make("th", { text: first });
  head.scope = "row";
  return make("tr", {}, head, ...rest.map((text) => make("td", { text })));
}

/**
 * @param {LedgerRecord} original  @param {ReadonlyMap<string, string>} names
 * @param {Words} words  @param {ClinicTimes} times
 */
function time(original, names, words, times) {
  const timeline = timelineOf(original);
  const name = (/** @type {Span} */ { segment }) =>
    segment ? (names.get(segment.physician_id) ?? segment.physician_id) : "";
  const title = words.t("bill.timeline_words", { count: original.segments.length });
  ref("timeline").replaceChildren(draw(timeline, lanesOf(name, words), title));
  const flows = /** @type {const} */ (["flows", "held", "silent", "unknown"]);
  ref("legend").replaceChildren(
    ...legend([
      { name: "video", text: words.t("bill.span.video") },
      { name: "voice", text: words.t("bill.span.voice") },
      ...flows.map((one) => ({ name: one, text: words.t(`bill.flow.${one}`) })),
    ]),
  );
  const rows = timeline.spans.map((span) =>
    rowOf([
      times.second(span.from_ms),
      times.second(span.to_ms),
      `${duration(span.duration_ms / 1000)}.${String(span.duration_ms % 1000).padStart(3, "0")}`,
      words.t(`bill.span.${span.kind}`),
      name(span),
      span.segment ? words.money(span.segment.rate_fen_per_min, original.currency) : "",
      span.segment ? words.t(/** @type {Key} */ (`bill.cause.${span.segment.end_cause}`)) : "",
    ]),
  );
  const heads = ["from_time", "to_time", "duration", "what", "physician", "per_minute", "ended_by"];
  const texts = heads.map((head) => words.t(/** @type {Key} */ (`bill.${head}`)));
  withBody("spans", rows, texts);
}

/**
 * @param {(span: Span) => string} name  of who treated  @param {Words} words
 * @returns {import("./billing-timeline-view.js").Lane[]}
 */
function lanesOf(name, words) {
  const flow = (/** @type {"patient" | "physician"} */ side) => ({
    name: words.t(`bill.lane.${side}`),
    classOf: (/** @type {Span} */ span) => span[side],
    wordsOf: (/** @type {Span} */ span) => words.t(`bill.flow.${span[side]}`),
    moreOf: () => "",
  });
  const billed = {
    name: words.t("bill.lane.billed"),
    classOf: (/** @type {Span} */ span) => (span.segment ? span.kind : "free"),
    wordsOf: (/** @type {Span} */ span) => words.t(`bill.span.${span.kind}`),
    moreOf: name,
  };
  return [billed, flow("patient"), flow("physician")];
}

/** @param {Explained} found  @param {Words} words  @param {ClinicTimes} times */
function corrections({ records }, words, times) {
  show(ref("corrections-card"), records.length > 1);
  const rows = records.map((record) =>
    rowOf([
      words.t(`bill.kind.${record.kind}`),
      times.full(record.settled_at),
      duration(record.mode_seconds.video),
      duration(record.mode_seconds.voice),
      words.money(record.charge_fen, record.currency),
      words.money((record.net ?? record).charge_fen, record.currency),
      record.reason ?? "",
      record.actor ?? "",
    ]),
  );
  const video = words.t("mode.video");
  const voice = words.t("mode.voice");
  const more = [words.t("bill.change"), words.t("bill.net"), words.t("bill.reason"), words.t("bill.actor")];
  withBody("corrections", rows, [words.t("bill.kind"), words.t("bill.settled"), video, voice, ...more]);
}

/** @param {LedgerRecord} latest  @param {Words} words  @param {ClinicTimes} times */
function evidence(latest, words, times) {
  pairsInto("evidence", [
    [words.t("bill.record_id"), latest.record_id],
    [words.t("bill.consult_id"), latest.consult_id],
    [words.t("bill.position"), String(latest.seq)],
    [words.t("bill.settled"), times.full(latest.settled_at)],
    [words.t("bill.tariff_digest"), latest.tariff_digest],
    [words.t("bill.prev_hash"), latest.prev_hash],
    [words.t("bill.hash"), latest.hash],
  ]);
  ref("record-json").setAttribute("href", `/api/v1/records/${latest.record_id}`);
  ref("record-json").setAttribute("download", `${latest.record_id}.json`);
}
