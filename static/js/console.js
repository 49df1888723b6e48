/** The physician's page: the parts, put together. */

import { io } from "/static/vendor/socket.io.esm.min.js";
import { Attention, askForNotifications } from "./attention.js";
import { CallView } from "./call-view.js";
import { Guests } from "./console-guests.js";
import { closeDialog, renderConsole } from "./console-view.js";
import { consolePhase, emptyConsole, nextConsole, withLink } from "./consult.js";
import { DeviceView } from "./device-view.js";
import { announce, ref, setText, show } from "./dom.js";
import { failureText } from "./failure.js";
import { Words, initialLanguage, languageSwitch, rememberLanguage, translatePage } from "./i18n.js";
import { shortcuts } from "./keys.js";
import { exposeForTests } from "./measure.js";
import { CallMedia } from "./media.js";
import { QueueView } from "./queue-view.js";
import { currentPhysician, signIn, signOut } from "./session.js";
import { Signal, newId, retryDelayMs } from "./signal.js";
import { Sounds } from "./sound.js";

/** @typedef {import("./protocol").ConsoleCommand} Command */
/** @typedef {import("./protocol").ConsoleMessage} Message */
/** @typedef {import("./protocol").Outcome} Outcome */
/** @typedef {import("./consult.js").ConsolePhase} ConsolePhase */

const ERROR_SHOWN_MS = 10_000;
const LIFE = new AbortController();
const pageId = newId();

let words = new Words(initialLanguage());
let page = emptyConsole;
let signedOut = false;
let taking = false;
/** @type {ConsolePhase} */
let shown = "loading";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let errorTimer;

const sounds = new Sounds();
const attention = new Attention();
const queueView = new QueueView((consultId) => void take(consultId));
const socket = io(`${location.origin}/console`, {
  transports: ["websocket"],
  autoConnect: false,
  reconnection: false,
  auth: (give) =>
    give({ page: pageId, consult_id: page.view?.consult_id ?? null, after: page.view?.n ?? 0 }),
});

/** @type {Signal<Command, Message>} */
const signal = new Signal(socket, {
  message: (message) => {
    if (message.kind === "queue") arrivals(message);
    page = nextConsole(page, message, performance.now());
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
    send: async (offer, abort) => {
      const consult_id = page.view?.consult_id ?? "";
      return (await signal.command({ kind: "offer", consult_id, ...offer }, abort)).sdp ?? "";
    },
    reconnect: () => signal.reconnect(),
    changed: () => render(),
  },
  "physician",
  LIFE.signal,
);
const callView = new CallView(media, "physician", LIFE.signal);
const deviceView = new DeviceView(media, LIFE.signal);
const guests = new Guests(
  (command) => send(command),
  () => page.view?.consult_id ?? "",
  LIFE.signal,
);

/** @returns {ConsolePhase} */
function phaseNow() {
  return signedOut ? "sign-in" : consolePhase(page);
}

let rendering = false;
function render() {
  if (rendering) return; // the media tell of the change that this render makes
  rendering = true;
  const phase = phaseNow();
  const { view } = page;
  const calling = phase === "connecting" || phase === "in-call";
  // Open between calls too: from taking a patient to the first picture nothing must wait.
  media.relays(page.iceServers);
  media.follow({
    state: calling ? (view?.state ?? null) : null,
    mode: calling ? (view?.mode ?? "video") : "video",
    pause: view?.pause ?? null,
    prepare: phase === "queue" || calling,
    roster: calling ? page.roster : null,
  });
  media.lost(page.mediaLost);
  renderConsole(phase, page, words, media, performance.now());
  if (phase === "queue") queueView.render(page.queue, words, !taking, Date.now());
  deviceView.render(words, view?.mode !== "voice" && !media.cameraOff, phase === "queue");
  guests.render(page, words, phase === "in-call");
  callView.render({ page, words, other: view?.patient_name ?? "", visible: phase === "in-call" });
  if (phase !== shown) entered(phase);
  shown = phase;
  attention.title(words.t("brand"));
  rendering = false;
}

/** @param {ConsolePhase} phase */
function entered(phase) {
  attention.keepAwake(phase === "connecting" || phase === "in-call");
  attention.calm();
  if (phase === "queue" && (shown === "in-call" || shown === "connecting")) sounds.play("end");
}

/** @param {import("./protocol").QueueChange} change */
function arrivals({ upsert }) {
  const known = new Set(page.queue.map((item) => item.consult_id));
  const fresh = upsert.filter((item) => !known.has(item.consult_id));
  if (fresh[0] === undefined || shown !== "queue") return;
  sounds.play("arrival");
  attention.notify(words.t("queue.arrived_title"), words.t("brand"));
  announce("polite", words.t("queue.arrived", { name: fresh[0].patient_name }));
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

/** @param {import("./protocol").Unsent<Command>} command
 *  @returns {Promise<Record<string, string> | null>} null: refused, and the person was told */
async function send(command) {
  try {
    const result = await signal.command(command);
    show(ref("error"), false);
    return result;
  } catch (error) {
    tell(error);
    return null;
  }
}

/** @param {string | null} consult_id  null: the next one */
async function take(consult_id) {
  if (taking) return;
  taking = true;
  sounds.unlock();
  askForNotifications();
  render();
  await send({ kind: "take", consult_id });
  taking = false;
  render();
}

/** @param {(consultId: string) => import("./protocol").Unsent<Command>} command */
function forCall(command) {
  if (page.view) void send(command(page.view.consult_id));
}

async function submitSignIn() {
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (ref(name));
  const button = /** @type {HTMLButtonElement} */ (ref("sign-in"));
  button.disabled = true;
  const result = await signIn(field("username").value, field("password").value);
  button.disabled = false;
  show(ref("sign-in-error"), result !== "ok");
  if (result !== "ok") {
    setText(ref("sign-in-error"), words.t(`sign_in.${result}`));
    return;
  }
  field("password").value = "";
  sounds.unlock();
  begin();
}

async function leave() {
  signal.close();
  signedOut = true;
  render();
  await signOut().catch(tell);
}

function begin() {
  signedOut = false;
  page = emptyConsole;
  signal.open();
  render();
}

function finish() {
  const form = /** @type {HTMLFormElement} */ (ref("finish-form"));
  const outcome = /** @type {Outcome} */ (new FormData(form).get("outcome"));
  closeDialog("finish-dialog");
  forCall((consult_id) => ({ kind: "finish", consult_id, outcome }));
}

function listen() {
  const on = (/** @type {string} */ name, /** @type {() => void} */ act, event = "click") =>
    ref(name).addEventListener(event, (e) => (e.preventDefault(), act()), { signal: LIFE.signal });
  const open = (/** @type {string} */ name) =>
    /** @type {HTMLDialogElement} */ (ref(name)).showModal();
  on("sign-in-form", () => void submitSignIn(), "submit");
  on("sign-out", () => void leave());
  on("take-next", () => void take(null));
  on("put-back", () => forCall((consult_id) => ({ kind: "put_back", consult_id })));
  on("hold", () => forCall((consult_id) => ({ kind: "hold", consult_id })));
  on("resume", () => forCall((consult_id) => ({ kind: "resume", consult_id })));
  on("to-voice", () => forCall((consult_id) => ({ kind: "set_mode", consult_id, mode: "voice" })));
  on("to-video", () => forCall((consult_id) => ({ kind: "set_mode", consult_id, mode: "video" })));
  on("record", () => forCall((consult_id) => ({ kind: "record", consult_id })));
  on("stop-recording", () => forCall((consult_id) => ({ kind: "stop_recording", consult_id })));
  on("finish", () => open("finish-dialog"));
  on("finish-cancel", () => closeDialog("finish-dialog"));
  on("finish-form", finish, "submit");
  on("keys", () => open("keys-dialog"));
  on("receipt-close", () => ((page = { ...page, receipt: null }), render()));
  on("test-sound", () => (sounds.unlock(), setTimeout(() => sounds.play("test"), 50)));
  on("take-back", () => location.reload());
  addEventListener("online", () => signal.hurry(), { signal: LIFE.signal });
  shortcuts(
    { n: ["take-next"], m: ["mute"], v: ["camera"], h: ["hold", "resume"], f: ["finish"] },
    LIFE.signal,
  );
  setInterval(() => ["queue", "connecting"].includes(shown) && render(), 1000);
}

/** Signed in from before, or not: asked until the server answers. */
async function start(attempt = 0) {
  try {
    signedOut = (await currentPhysician()) === null;
    if (signedOut) render();
    else begin();
  } catch {
    setTimeout(() => void start(attempt + 1), retryDelayMs(attempt, Math.random()));
  }
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
void start();
