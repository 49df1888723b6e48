/** The physician's page around queue and call. */

import { summaryOf } from "./consult.js";
import { announce, ref, setText, show, showPhase } from "./dom.js";
import { renderRecording } from "./recording-view.js";

/** @typedef {import("./consult.js").ConsolePage} ConsolePage */
/** @typedef {import("./consult.js").ConsolePhase} ConsolePhase */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./media.js").CallMedia} CallMedia */

/**
 * @param {ConsolePhase} phase  @param {ConsolePage} page  @param {Words} words
 * @param {CallMedia} media  @param {number} nowMs  monotonic
 */
export function renderConsole(phase, page, words, media, nowMs) {
  showPhase(phase);
  const { physician } = page;
  const name = physician ? `${physician.name} ${physician.title}`.trim() : "";
  setText(ref("physician-name"), phase === "sign-in" ? "" : name);
  const mediaBroken = ["in-call", "connecting"].includes(phase) && media.peer.state === "broken";
  const banner = page.link === "lost" ? "link.lost" : mediaBroken ? "link.media" : null;
  show(ref("banner"), banner !== null && phase !== "sign-in");
  setText(ref("banner"), banner ? words.t(banner) : "");
  if (phase === "moved" || phase === "stopped") {
    const title = phase === "moved" ? "closed.moved_console" : "closed.stopped";
    setText(ref("closed-title"), words.t(title));
    setText(ref("closed-text"), words.t("closed.stopped_words"));
    const key = phase === "moved" ? "closed.take_back" : "closed.reload";
    setText(ref("take-back"), words.t(key));
  }
  if (phase === "queue") renderReceipt(page, words);
  if (phase === "connecting") renderCalling(page, words, nowMs);
  renderRecording(phase === "in-call" ? page.view : null, words);
  if (phase === "in-call") renderCallControls(page, words);
  else closeDialog("finish-dialog");
}

/** @param {string} name */
export function closeDialog(name) {
  const dialog = /** @type {HTMLDialogElement} */ (ref(name));
  if (dialog.open) dialog.close();
}

/** @param {ConsolePage} page  @param {Words} words */
function renderReceipt({ receipt }, words) {
  const summary = receipt?.summary;
  show(ref("receipt"), Boolean(summary));
  if (!receipt || !summary) return;
  const text = words.t("receipt.text", {
    name: receipt.patient_name,
    video: words.duration(summary.video_s),
    voice: words.duration(summary.voice_s),
    charge: words.money(summary.charge_fen, summary.currency),
    state: words.t(summary.final ? "receipt.final" : "receipt.provisional"),
  });
  const spent = summary.end_cause === "quota_exhausted";
  const why = spent ? `${words.t("receipt.quota_exhausted")} ` : "";
  setText(ref("receipt-text"), why + text);
  announce("polite", why + text);
}

/** @param {ConsolePage} page  @param {Words} words  @param {number} nowMs */
function renderCalling({ view, answerByMs }, words, nowMs) {
  if (!view) return;
  setText(ref("calling"), words.t("calling.title", { name: view.patient_name }));
  setText(ref("calling-complaint"), view.complaint);
  const leftS = answerByMs === null ? 0 : Math.max(0, Math.ceil((answerByMs - nowMs) / 1000));
  const text =
    view.state === "connecting"
      ? words.t("calling.connecting")
      : words.t("calling.offered", { seconds: words.count("seconds", leftS) });
  const offline = view.patient_online ? "" : ` ${words.t("calling.offline")}`;
  setText(ref("calling-state"), text + offline);
}

/** @param {ConsolePage} page  @param {Words} words */
function renderCallControls(page, words) {
  const { view } = page;
  if (!view) return;
  setText(ref("complaint"), view.complaint);
  show(ref("hold"), view.state === "active");
  show(ref("resume"), view.state === "held");
  const toVideo = /** @type {HTMLButtonElement} */ (ref("to-video"));
  show(toVideo, view.mode === "voice" && view.state === "active");
  toVideo.disabled = view.proposal !== null;
  show(ref("pending"), view.proposal !== null);
  renderAsking(view);
  if (view.proposal) {
    const price = words.money(view.proposal.fen_per_min, view.price.currency);
    setText(ref("pending"), words.t("proposal.pending", { price }));
  }
  const summary = summaryOf(page);
  ref("call").dataset.chargeFen = String(page.meter?.charge_fen ?? summary?.charge_fen ?? 0);
}

/**
 * The physician may ask, and sees that the patient has not answered yet.
 * @param {import("./protocol").PhysicianView} view
 */
function renderAsking(view) {
  const state = view.recording?.state ?? null;
  const may = view.may_record && view.state === "active";
  show(ref("record"), may && (state === null || state === "failed"));
  show(ref("recording-pending"), state === "proposed");
}
