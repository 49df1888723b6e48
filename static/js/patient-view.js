/** The patient's page outside the call: price, check, waiting, summary, endings. */

import { isLive, summaryOf } from "./consult.js";
import { announce, make, ref, setText, show, showPhase } from "./dom.js";
import { showTrack } from "./device-view.js";
import { lasting, leftIn } from "./prepaid.js";
import { renderRecording } from "./recording-view.js";

/** @typedef {import("./consult.js").PatientPage} PatientPage */
/** @typedef {import("./consult.js").PatientPhase} PatientPhase */
/** @typedef {import("./protocol").PatientView} View */
/** @typedef {import("./protocol").ChargeLine} ChargeLine */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./media.js").CallMedia} CallMedia */

/**
 * What only this page knows.
 * @typedef {object} Local
 * @property {boolean} agreed
 * @property {import("./protocol").Mode} mode  wanted
 * @property {boolean} joining  asked to wait, not answered yet
 */

/**
 * @param {Words} words  @param {View} view
 * @returns {string} the physician, or a doctor of the department
 */
export function whoTreats(words, { service }) {
  if (service.physician_name === "")
    return words.t("who.anyone", { department: service.department });
  const title = service.physician_title;
  if (words.language === "zh-CN") return `${service.physician_name}${title}`;
  return title ? `${title} ${service.physician_name}` : service.physician_name;
}

/**
 * @param {PatientPhase} phase  @param {PatientPage} page  @param {Words} words
 * @param {CallMedia} media  @param {Local} local
 */
export function renderPatient(phase, page, words, media, local) {
  showPhase(phase);
  const { view } = page;
  const mediaBroken = ["in-call", "connecting"].includes(phase) && media.peer.state === "broken";
  const banner = page.link === "lost" ? "link.lost" : mediaBroken ? "link.media" : null;
  show(ref("banner"), banner !== null);
  setText(ref("banner"), banner ? words.t(banner) : "");
  if (phase === "invalid" || phase === "moved" || phase === "stopped" || phase === "closed")
    renderClosed(phase, page, words);
  if (!view) return;
  if (phase === "agree") renderAgree(view, words, media, local);
  if (phase === "waiting") renderWaiting(page, view, words, media);
  setText(ref("calling"), words.t("connecting.title", { who: whoTreats(words, view) }));
  if (phase === "connecting") announce("assertive", words.t("called.title"));
  renderRecording(phase === "in-call" ? view : null, words);
  if (phase === "in-call") {
    renderProposal(view, words);
    renderQuestion(view, words);
  }
  if (phase === "summary") renderSummary(page, view, words);
}

/**
 * @param {"invalid" | "moved" | "stopped" | "closed"} phase
 * @param {PatientPage} page  @param {Words} words
 */
function renderClosed(phase, { view }, words) {
  const button = ref("take-back");
  show(button, phase === "moved" || phase === "stopped");
  setText(button, words.t(phase === "moved" ? "closed.take_back" : "closed.reload"));
  if (phase !== "closed") {
    setText(ref("closed-title"), words.t(`closed.${phase}`));
    setText(ref("closed-text"), words.t(`closed.${phase}_words`));
    return;
  }
  setText(ref("closed-title"), words.t(closedKey(view)));
  setText(ref("closed-text"), words.t("closed.free"));
}

/** @param {View | null} view  @returns {import("./i18n.js").Key} */
function closedKey(view) {
  switch (view?.state) {
    case "cancelled":
    case "abandoned":
    case "declined":
    case "expired":
    case "no_show_patient":
    case "no_show_physician":
    case "failed":
      return `closed.${view.state}`;
    default:
      return "summary.title";
  }
}

/** @param {View} view  @param {Words} words  @param {CallMedia} media  @param {Local} local */
function renderAgree(view, words, media, local) {
  const { service, price } = view;
  setText(ref("organization"), service.organization);
  setText(ref("who"), whoTreats(words, view));
  setText(ref("department"), service.department);
  setText(ref("for-whom"), words.t("who.patient", { name: view.patient_name }));
  const perMinute = (/** @type {number} */ fen) =>
    words.t("price.per_minute", { price: words.money(fen, price.currency) });
  setText(ref("price-video"), perMinute(price.video_fen_per_min));
  setText(ref("price-voice"), perMinute(price.voice_fen_per_min));
  ref("price-fine").replaceChildren(
    ...finePrint(view, local.mode, words).map((text) => make("li", { text })),
  );
  show(ref("check"), local.agreed);
  const video = /** @type {HTMLInputElement} */ (ref("mode-video"));
  const voice = /** @type {HTMLInputElement} */ (ref("mode-voice"));
  video.checked = local.mode === "video";
  voice.checked = local.mode === "voice";
  show(ref("preview-frame"), local.mode === "video");
  const key = whyNot(media.devices, local, view);
  const join = /** @type {HTMLButtonElement} */ (ref("join"));
  join.disabled = key !== null || local.joining;
  setText(ref("join-why"), words.t(key ?? "join.ready"));
  show(ref("voice-instead"), key === "join.no_camera");
}

/**
 * @param {import("./devices.js").Devices} devices  @param {Local} local  @param {View} view
 * @returns {import("./i18n.js").Key | null} what is missing before one can wait
 */
function whyNot(devices, local, { prepaid }) {
  if (!local.agreed) return "join.agree";
  if (prepaid && leftIn(prepaid, local.mode).leftMs === 0) return "error.prepaid_too_low";
  if (devices.trouble.audio) return "join.no_microphone";
  if (!devices.audio || devices.busy) return "join.opening";
  // Video would be billed: whoever has no camera chooses to talk by voice, knowing the price.
  if (local.mode === "video" && !devices.video)
    return devices.trouble.video ? "join.no_camera" : "join.opening";
  return null;
}

/**
 * @param {View} view  @param {import("./protocol").Mode} mode  wanted  @param {Words} words
 * @returns {string[]}
 */
function finePrint({ price, prepaid }, mode, words) {
  const lines = prepaid ? [lasting(prepaid, mode, price.currency, words)] : [];
  if (price.free_s > 0) lines.push(words.t("price.free", { time: words.duration(price.free_s) }));
  if (price.initial_s > 1 || price.increment_s > 1)
    lines.push(
      words.t("price.steps", {
        initial: words.duration(price.initial_s),
        increment: words.duration(price.increment_s),
      }),
    );
  if (price.minimum_fen > 0)
    lines.push(words.t("price.minimum", { price: words.money(price.minimum_fen, price.currency) }));
  if (price.cap_fen !== null)
    lines.push(words.t("price.cap", { price: words.money(price.cap_fen, price.currency) }));
  const onTop = Number(price.fee_on_top);
  if (onTop > 0) lines.push(words.t("price.on_top", { percent: words.percent(onTop) }));
  if (price.insurer_base_fen > 0)
    lines.push(
      words.t("price.insurer", { price: words.money(price.insurer_base_fen, price.currency) }),
    );
  return lines;
}

/** @param {PatientPage} page  @param {View} view  @param {Words} words  @param {CallMedia} media */
function renderWaiting({ place }, view, words, media) {
  const ahead = place ? place.place - 1 : null;
  const text =
    ahead === null ? "" : ahead <= 0 ? words.t("waiting.next") : words.count("ahead", ahead);
  setText(ref("place"), text);
  const { prepaid, price } = view;
  setText(
    ref("waiting-prepaid"),
    prepaid ? lasting(prepaid, view.mode, price.currency, words) : "",
  );
  ref("place").dataset.place = place ? String(place.place) : "";
  announce("polite", words.t("waiting.notice", { place: text }));
  setText(ref("waiting-who"), words.t("waiting.who", { who: whoTreats(words, view) }));
  const preview = /** @type {HTMLVideoElement} */ (ref("waiting-preview"));
  showTrack(preview, media.devices.video);
  show(ref("waiting-preview-frame"), media.devices.video !== null);
}

/** @param {View} view  @param {Words} words */
function renderProposal(view, words) {
  const dialog = /** @type {HTMLDialogElement} */ (ref("proposal"));
  const { proposal } = view;
  if (proposal) {
    setText(ref("proposal-title"), words.t("proposal.title"));
    const price = words.money(proposal.fen_per_min, view.price.currency);
    setText(ref("proposal-text"), words.t("proposal.text", { price }));
  }
  if (proposal && !dialog.open) {
    dialog.show(); // not modal: hanging up stays possible
    ref("proposal-title").focus();
  } else if (!proposal && dialog.open) dialog.close();
}

/**
 * May the call be recorded?
 * @param {View} view  @param {Words} words
 */
function renderQuestion(view, words) {
  const dialog = /** @type {HTMLDialogElement} */ (ref("recording-question"));
  const asked = view.recording?.state === "proposed";
  if (asked && !dialog.open) {
    setText(ref("recording-title"), words.t("recording.ask_title"));
    setText(ref("recording-words"), words.t("recording.ask_words"));
    dialog.show(); // not modal: hanging up stays possible
    ref("recording-title").focus();
  } else if (!asked && dialog.open) dialog.close();
}

/** @param {PatientPage} page  @param {View} view  @param {Words} words */
function renderSummary(page, view, words) {
  const summary = summaryOf(page);
  const open = isLive(view.state);
  setText(ref("summary-title"), words.t(open ? "summary.hung_up" : "summary.title"));
  const cause = summary?.end_cause ?? null;
  const returning = open && view.may_rejoin;
  const text = returning ? words.t("summary.hung_up_words") : cause ? words.t(`end.${cause}`) : "";
  setText(ref("summary-text"), text);
  show(ref("rejoin"), view.may_rejoin);
  const section = ref("summary");
  section.dataset.voiceS = String(summary?.voice_s ?? 0);
  section.dataset.videoS = String(summary?.video_s ?? 0);
  section.dataset.chargeFen = String(summary?.charge_fen ?? 0);
  section.dataset.final = String(summary?.final ?? false);
  setText(ref("summary-video"), words.duration(summary?.video_s ?? 0));
  setText(ref("summary-voice"), words.duration(summary?.voice_s ?? 0));
  const currency = summary?.currency ?? view.price.currency;
  for (const mode of /** @type {const} */ (["video", "voice"])) {
    const price = words.money(view.price[`${mode}_fen_per_min`], currency);
    setText(ref(`summary-${mode}-rate`), words.t("price.per_minute", { price }));
  }
  setText(ref("summary-charge"), words.money(summary?.charge_fen ?? 0, currency));
  setText(ref("summary-final"), words.t(summary?.final ? "summary.final" : "summary.provisional"));
  const lines = summary?.lines ?? [];
  show(ref("summary-how"), lines.length > 0);
  ref("summary-lines").replaceChildren(...lines.map((line) => make("li", { text: chargeLine(line, view, words) })));
  const id = summary?.record_id;
  setText(ref("summary-record"), id ? words.t("summary.record", { id }) : "");
}

/** @param {ChargeLine} line  @param {View} view  @param {Words} words  @returns {string} */
function chargeLine(line, view, words) {
  const { currency } = view.price;
  const fen = line.fen ?? (line.fen_60ths ?? 0) / 60;
  return words.t(`line.${line.step}`, {
    mode: line.mode ? words.t(`summary.${line.mode}`) : "",
    time: words.duration(line.seconds ?? 0),
    price: line.mode ? words.money(view.price[`${line.mode}_fen_per_min`], currency) : "",
    amount: words.money(fen, currency, line.fen === null ? 2 : 0),
  });
}
