/** A guest's page: invited by the physician, billed for nothing. */

import { io } from "/static/vendor/socket.io.esm.min.js";
import { Attention } from "./attention.js";
import { CallView } from "./call-view.js";
import { DeviceView } from "./device-view.js";
import { announce, ref, setText, show, showPhase } from "./dom.js";
import { failureText } from "./failure.js";
import { emptyGuest, guestPhase, nextGuest } from "./guest-state.js";
import { Words, initialLanguage, languageSwitch, rememberLanguage, translatePage } from "./i18n.js";
import { exposeForTests } from "./measure.js";
import { CallMedia } from "./media.js";
import { Signal, newId } from "./signal.js";
import { Sounds } from "./sound.js";

/** @typedef {import("./protocol").GuestCommand} Command */
/** @typedef {import("./protocol").GuestMessage} Message */

const LIFE = new AbortController();
const token = location.hash.slice(1);
const pageId = newId();

let words = new Words(initialLanguage());
let page = emptyGuest;
let joined = false;
/** @type {import("./guest-state.js").GuestPhase} */
let shown = "loading";

const sounds = new Sounds();
const attention = new Attention();
const socket = io(`${location.origin}/guest`, {
  transports: ["websocket"],
  autoConnect: false,
  reconnection: false,
  auth: (give) => give({ token, page: pageId, after: page.view?.n ?? 0 }),
});

/** @type {Signal<Command, Message>} */
const signal = new Signal(socket, {
  message: (message) => {
    page = nextGuest(page, message, performance.now());
    render();
  },
  link: (link, code) => {
    page = { ...page, link, refused: link === "refused" ? (code ?? "refused") : null };
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
  "guest",
  LIFE.signal,
  () => page.view?.me.id ?? "guest",
);
const callView = new CallView(media, "guest", LIFE.signal);
const deviceView = new DeviceView(media, LIFE.signal);

let rendering = false;
function render() {
  if (rendering) return; // the media tell of the change that this render makes
  rendering = true;
  const phase = guestPhase(page, joined);
  const mode = page.view?.mode ?? "video";
  media.relays(page.iceServers);
  media.follow({
    state: phase === "in-call" ? (page.view?.state ?? null) : null,
    mode,
    pause: page.pause === "hung_up" ? null : page.pause, // the patient's, not this person's
    prepare: phase === "agree" || phase === "guest-waiting",
    roster: page.roster, // before the call too: it tells how many lines to offer
  });
  media.lost(page.mediaLost);
  showPhase(phase);
  renderWords(phase);
  deviceView.render(words, mode === "video" && !media.cameraOff, phase === "agree");
  const other = page.view?.physician_name ?? "";
  callView.render({ page, words, other, visible: phase === "in-call" });
  if (phase !== shown) attention.keepAwake(phase === "in-call");
  if (phase === "closed" && shown === "in-call") sounds.play("end");
  shown = phase;
  attention.title(words.t("brand"));
  rendering = false;
}

/** @param {import("./guest-state.js").GuestPhase} phase */
function renderWords(phase) {
  const broken = phase === "in-call" && media.peer.state === "broken";
  const banner = page.link === "lost" ? "link.lost" : broken ? "link.media" : null;
  show(ref("banner"), banner !== null);
  setText(ref("banner"), banner ? words.t(banner) : "");
  show(ref("terms"), false);
  show(ref("mode-choice"), false);
  show(ref("invitation"), true);
  show(ref("check"), true);
  if (phase === "invalid" || phase === "moved" || phase === "stopped" || phase === "closed")
    renderClosed(phase);
  const { view } = page;
  if (!view) return;
  const role = words.t(`role.${view.me.role}`);
  setText(ref("invited-to"), view.organization);
  setText(ref("invited-by"), words.t("guest.by", { who: view.physician_name, name: view.me.name }));
  setText(ref("invited-as"), words.t("guest.as", { role, patient: view.patient_name }));
  show(ref("recording-sign"), view.recorded);
  setText(ref("live-recording"), view.recorded ? words.t("recording.on") : "");
  const join = /** @type {HTMLButtonElement} */ (ref("join"));
  join.disabled = media.devices.busy;
  setText(join, words.t("guest.join"));
  const able = media.devices.audio ? "join.ready" : "guest.listen";
  setText(ref("join-why"), words.t(media.devices.busy ? "join.opening" : able));
  if (phase === "guest-waiting") announce("polite", words.t("guest.waiting"));
}

/** @param {"invalid" | "moved" | "stopped" | "closed"} phase */
function renderClosed(phase) {
  const button = ref("take-back");
  show(button, phase === "moved" || phase === "stopped");
  setText(button, words.t(phase === "moved" ? "closed.take_back" : "closed.reload"));
  if (phase === "closed") {
    const removed = page.goodbye === "removed";
    setText(ref("closed-title"), words.t(removed ? "guest.removed" : "guest.over"));
    setText(ref("closed-text"), words.t("guest.thanks"));
    return;
  }
  setText(ref("closed-title"), words.t(`closed.${phase}`));
  setText(ref("closed-text"), words.t(`closed.${phase}_words`));
}

async function leave() {
  joined = false;
  render();
  try {
    await signal.command({ kind: "leave" });
  } catch (error) {
    const text = failureText(words, error);
    show(ref("error"), text !== null);
    setText(ref("error"), text ?? "");
  }
}

function listen() {
  const on = (/** @type {string} */ name, /** @type {() => void} */ act) =>
    ref(name).addEventListener("click", act, { signal: LIFE.signal });
  on("test-sound", () => (sounds.unlock(), setTimeout(() => sounds.play("test"), 50)));
  on("join", () => ((joined = true), sounds.unlock(), render()));
  on("hang-up", () => void leave());
  on("guest-back", () => ((joined = false), render()));
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
signal.open();
