/** The patient's page: the parts, put together. */

import { io } from "/static/vendor/socket.io.esm.min.js";
import { Attention, askForNotifications } from "./attention.js";
import { CallView } from "./call-view.js";
import { emptyPatient, nextPatient, patientPhase, withLink } from "./consult.js";
import { DeviceView } from "./device-view.js";
import { ref, setText, show } from "./dom.js";
import { failureText } from "./failure.js";
import { Words, initialLanguage, languageSwitch, rememberLanguage, translatePage } from "./i18n.js";
import { exposeForTests } from "./measure.js";
import { CallMedia } from "./media.js";
import { renderPatient, whoTreats } from "./patient-view.js";
import { onNetworkChange } from "./peer.js";
import { CommandRefused, Signal, newId } from "./signal.js";
import { Sounds } from "./sound.js";
import { WayView } from "./way-view.js";

/** @typedef {import("./protocol").PatientCommand} Command */
/** @typedef {import("./protocol").PatientMessage} Message */

const ERROR_SHOWN_MS = 10_000;
const LIFE = new AbortController();
const token = location.hash.slice(1);
const pageId = newId();

let words = new Words(initialLanguage());
let page = emptyPatient;
/** @type {import("./patient-view.js").Local} */
const local = { agreed: false, mode: "video", joining: false };
/** Hung up here, whatever the server still says: nothing is sent from the click on. */
let hungUp = false;
/** @type {import("./consult.js").PatientPhase} */
let shown = "loading";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let errorTimer;

const sounds = new Sounds();
const attention = new Attention();
const socket = io(`${location.origin}/patient`, {
  transports: ["websocket"],
  autoConnect: false,
  reconnection: false,
  auth: (give) => give({ token, page: pageId, after: page.view?.n ?? 0 }),
});

/** @type {Signal<Command, Message>} */
const signal = new Signal(socket, {
  message: (message) => {
    page = nextPatient(page, message, performance.now());
    if ("view" in message && message.view.pause === "hung_up") hungUp = false; // the server knows
    render();
  },
  link: (link, code) => {
    page = withLink(page, link, code);
    if (link === "online") media.peer.resume();
    render();
  },
});

const media = new CallMedia(
  {
    send: async (offer, abort) =>
      (await signal.command({ kind: "offer", ...offer }, abort)).sdp ?? "",
    reconnect: () => signal.reconnect(),
    changed: () => render(),
  },
  "patient",
  LIFE.signal,
);
const callView = new CallView(media, "patient", LIFE.signal);
const deviceView = new DeviceView(media, LIFE.signal);
const wayView = new WayView(
  async (sdp, abort) => (await signal.command({ kind: "probe", sdp }, abort)).sdp ?? "",
  () => render(),
  LIFE.signal,
);
onNetworkChange(() => wayView.test(), LIFE.signal);

/** @returns {import("./consult.js").PatientPhase} */
function phaseNow() {
  const phase = patientPhase(page);
  return hungUp && (phase === "in-call" || phase === "connecting") ? "summary" : phase;
}

let rendering = false;
function render() {
  if (rendering) return; // the media tell of the change that this render makes
  rendering = true;
  const phase = phaseNow();
  const { view } = page;
  const here = phase !== "moved" && phase !== "stopped" && phase !== "invalid";
  const mode = view && view.state !== "created" ? view.mode : local.mode;
  media.relays(page.iceServers);
  media.follow({
    state: here ? (view?.state ?? null) : null,
    mode,
    pause: hungUp ? "hung_up" : (view?.pause ?? null),
    prepare: phase === "waiting" || (phase === "agree" && local.agreed),
    roster: page.roster,
  });
  media.lost(page.mediaLost);
  renderPatient(phase, page, words, media, local);
  deviceView.render(words, mode === "video" && !media.cameraOff, phase === "agree");
  // Once the devices are allowed or not: a browser tells of its networks by that permission.
  const { audio, trouble } = media.devices;
  const asked = audio !== null || trouble.audio !== null;
  wayView.render(words, phase === "agree" && local.agreed && asked, page.iceServers);
  const other = view ? whoTreats(words, view) : "";
  callView.render({ page, words, other, visible: phase === "in-call" });
  if (phase !== shown) entered(phase, shown);
  shown = phase;
  attention.title(words.t("brand"));
  rendering = false;
}

/**
 * @param {import("./consult.js").PatientPhase} phase
 * @param {import("./consult.js").PatientPhase} before
 */
function entered(phase, before) {
  attention.keepAwake(["waiting", "connecting", "in-call"].includes(phase));
  sounds.ring(phase === "connecting");
  if (phase === "connecting") attention.call(words.t("called.title"), words.t("called.body"));
  else attention.calm();
  if (phase === "summary" && before === "in-call") sounds.play("end");
}

/** @param {unknown} error */
function tell(error) {
  const text = failureText(words, error);
  if (text === null) return;
  setText(ref("error"), text);
  show(ref("error"), true);
  clearTimeout(errorTimer);
  errorTimer = setTimeout(() => show(ref("error"), false), ERROR_SHOWN_MS);
}

/** @param {import("./protocol").Unsent<Command>} command */
async function send(command) {
  try {
    await signal.command(command);
    show(ref("error"), false);
  } catch (error) {
    if (command.kind === "hang_up") hungUp = false;
    tell(error);
    if (error instanceof CommandRefused && error.code === "price_changed") lookAgain();
    render();
  }
}

/** A fresh connection brings the price of now, to be agreed to anew. */
function lookAgain() {
  local.agreed = false;
  /** @type {HTMLInputElement} */ (ref("agree")).checked = false;
  signal.close();
  signal.open();
}

async function join() {
  if (!page.view || local.joining) return;
  local.joining = true;
  sounds.unlock();
  askForNotifications();
  render();
  await send({
    kind: "join",
    mode: local.mode,
    tariff_digest: page.view.price.digest,
    terms_version: page.view.terms_version,
    language: words.language,
  });
  local.joining = false;
  render();
}

function hangUp() {
  hungUp = true;
  render();
  void send({ kind: "hang_up" });
}

/** @param {boolean} accept */
function answerProposal(accept) {
  const proposal = page.view?.proposal;
  if (proposal) void send({ kind: "answer_mode", proposal_id: proposal.id, accept });
}

/** @param {boolean} accept */
function answerRecording(accept) {
  const asked = page.view?.recording;
  if (!asked) return;
  const { id: recording_id, terms_version } = asked;
  void send({ kind: "answer_recording", recording_id, accept, terms_version });
}

function listen() {
  const on = (/** @type {string} */ name, /** @type {() => void} */ act, event = "click") =>
    ref(name).addEventListener(event, act, { signal: LIFE.signal });
  const agree = /** @type {HTMLInputElement} */ (ref("agree"));
  on("agree", () => ((local.agreed = agree.checked), render()), "change");
  on("mode-video", () => ((local.mode = "video"), render()), "change");
  on("mode-voice", () => ((local.mode = "voice"), render()), "change");
  on("voice-instead", () => ((local.mode = "voice"), render()));
  on("test-sound", () => (sounds.unlock(), setTimeout(() => sounds.play("test"), 50)));
  on("join", () => void join());
  on("leave", () => void send({ kind: "leave" }));
  on("hang-up", hangUp);
  on("hang-up-early", hangUp);
  on("rejoin", () => ((hungUp = false), void send({ kind: "rejoin" })));
  on("accept-video", () => answerProposal(true));
  on("decline-video", () => answerProposal(false));
  on("agree-recording", () => answerRecording(true));
  on("refuse-recording", () => answerRecording(false));
  on("stop-recording", () => void send({ kind: "stop_recording" }));
  on("to-voice", () => void send({ kind: "set_mode", mode: "voice" }));
  on("take-back", () => location.reload());
  addEventListener("hashchange", () => location.reload(), { signal: LIFE.signal });
  addEventListener("online", () => signal.hurry(), { signal: LIFE.signal });
}

languageSwitch(ref("languages"), words.language, (language) => {
  rememberLanguage(language);
  words = new Words(language);
  translatePage(words);
  render();
});
translatePage(words);
exposeForTests(media.peer);
listen();
render();
if (token.length >= 16 && token.length <= 128) signal.open();
else {
  page = withLink(page, "refused", "link_invalid");
  render();
}
