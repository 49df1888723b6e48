/** The call on the screen, the same for both parties: pictures, figures, pauses, controls. */

import { elapsedS } from "./consult.js";
import { showTrack } from "./device-view.js";
import { announce, ref, setPressed, setText, show } from "./dom.js";
import { minutesSeconds } from "./i18n.js";
import { receiverLevel } from "./level.js";
import { leftFigure, leftNow, warning } from "./prepaid.js";
import { linesOf, renderQuality } from "./quality-view.js";
import { Tiles } from "./tiles.js";
import { picturesPaused, troubleText } from "./trouble.js";

/** @typedef {import("./media.js").CallMedia} CallMedia */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./quality-view.js").Viewer} Party  whose page it is */

/**
 * What the screen shows of a call; a guest's has no price.
 * @typedef {object} Call
 * @property {{mode: import("./protocol").Mode, state: import("./protocol").State, price?: import("./protocol").Price, prepaid?: import("./protocol").Prepaid | null, me?: {id: string}} | null} view
 * @property {import("./consult.js").Meter | null} meter
 * @property {import("./protocol").Pause | null} pause
 * @property {import("./protocol").Roster | null} roster
 * @property {import("./protocol").Quality | null} quality
 * @property {import("./protocol").LineTrouble | null} [trouble]
 */

/**
 * @typedef {object} Scene
 * @property {Call} page
 * @property {Words} words
 * @property {string} other  how the other party is called
 * @property {boolean} visible
 */

const WATCH_EVERY_MS = 500;
const STALLED_AFTER_MS = 2000;
const FIGURES_EVERY_MS = 200;
const RINGS_EVERY_MS = 100;

export class CallView {
  #media;
  #party;
  #remote = /** @type {HTMLVideoElement} */ (ref("remote-video"));
  /** @type {Scene | null} */
  #scene = null;
  #tiles;
  #frames = { decoded: 0, atMs: 0 };
  #stalled = false;

  /**
   * @param {CallMedia} media
   * @param {Party} party  whose page this is
   * @param {AbortSignal} signal
   */
  constructor(media, party, signal) {
    this.#media = media;
    this.#party = party;
    this.#tiles = new Tiles(media);
    // A stream without data would hold back the page's load event, and with it much of browsers.
    if (document.readyState === "complete") this.#attach();
    else addEventListener("load", () => this.#attach(), { once: true, signal });
    const on = (/** @type {string} */ name, /** @type {() => void} */ act) =>
      ref(name).addEventListener("click", act, { signal });
    on("mute", () => media.mute(!media.muted));
    on("camera", () => media.setCameraOff(!media.cameraOff));
    on("share", () => void (media.screen ? media.unshare() : media.share()));
    on("full-screen", () => this.#fullScreen());
    ref("quality").addEventListener("toggle", () => this.#scene && this.render(this.#scene), { signal });
    for (const event of ["click", "keydown"])
      document.addEventListener(event, () => this.#touched(), { signal });
    setInterval(() => this.#figures(), FIGURES_EVERY_MS);
    setInterval(() => void this.#watch(), WATCH_EVERY_MS);
    setInterval(() => this.#rings(), RINGS_EVERY_MS);
    show(ref("cost"), party !== "guest");
    if (!document.fullscreenEnabled) show(ref("full-screen"), false);
  }

  #attach() {
    this.#remote.srcObject = this.#media.peer.remote;
    if (this.#scene?.visible) void this.play();
  }

  /**
   * Let the other party be heard. After a reload the browser may want a touch before it lets a
   * page sound: the picture goes on without sound until then.
   */
  async play() {
    try {
      await this.#remote.play();
      show(ref("unblock"), this.#remote.muted);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      if (this.#remote.muted) return;
      this.#remote.muted = true;
      void this.play();
    }
  }

  #touched() {
    this.#tiles.touched();
    if (!this.#remote.muted) return;
    this.#remote.muted = false;
    void this.play();
  }

  /** @param {Scene} scene */
  render(scene) {
    const entered = scene.visible && !this.#scene?.visible;
    this.#scene = scene;
    const { page, words, other } = scene;
    const { view } = page;
    if (!view || !scene.visible) {
      this.#tiles.render(null);
      if (document.fullscreenElement && !scene.visible) void document.exitFullscreen();
      return;
    }
    if (entered) {
      this.#frames = { decoded: 0, atMs: performance.now() };
      this.#stalled = false;
      void this.play();
    }
    const video = view.mode === "video";
    setText(ref("other-name"), other);
    setPressed(ref("mute"), this.#media.muted);
    setPressed(ref("camera"), this.#media.cameraOff);
    show(ref("camera"), video);
    show(ref("to-voice"), video && view.state === "active" && this.#party !== "guest");
    this.#share(video);
    const self = video && view.state !== "held" && this.#media.devices.video !== null;
    show(ref("self"), self);
    showTrack(/** @type {HTMLVideoElement} */ (ref("local-video")), this.#media.devices.video);
    const reason = page.pause ? words.t(`pause.${this.#party}.${page.pause}`) : null;
    show(ref("pause"), reason !== null);
    setText(ref("pause"), reason ?? "");
    const now = video ? "call.video_now" : "call.voice_now";
    announce("assertive", reason ?? words.t(this.#party === "guest" ? "call.guest_now" : now));
    this.#lines(reason !== null);
    ref("call").dataset.running = String(page.pause === null);
    this.#cover();
    this.#figures();
  }

  /** @param {boolean} paused  the page says already why nothing goes on */
  #lines(paused) {
    if (!this.#scene) return;
    const { page, words, other } = this.#scene;
    const video = page.view?.mode === "video";
    const trouble = page.trouble ?? null;
    const text =
      paused || this.#party === "guest" ? null : troubleText(trouble, video, this.#party, other, words);
    show(ref("line-trouble"), text !== null);
    setText(ref("line-trouble"), text ?? "");
    if (text !== null) announce("polite", text);
    const lines = linesOf(page.quality, this.#party, page.view?.me?.id);
    renderQuality(lines, other, paused || text !== null, words);
  }

  /** One screen at a time, and only among pictures.  @param {boolean} video */
  #share(video) {
    const button = /** @type {HTMLButtonElement} */ (ref("share"));
    const by = this.#scene?.page.roster?.screen_by ?? null;
    show(button, video && "getDisplayMedia" in (navigator.mediaDevices ?? {}));
    button.disabled = by !== null && this.#media.screen === null;
    setPressed(button, this.#media.screen !== null);
  }

  /** Behind this panel there is no picture to see. */
  #cover() {
    if (!this.#scene?.page.view) return;
    const { page, words, other } = this.#scene;
    const voice = page.view?.mode === "voice";
    const paused = page.pause !== null;
    const withheld = picturesPaused(page.trouble ?? null, !voice);
    show(ref("cover"), voice || withheld || this.#stalled || paused);
    this.#tiles.render({ roster: page.roster, words, pictures: !voice && !paused && !withheld });
    setText(
      ref("cover-text"),
      paused ? other : words.t(voice ? "call.voice" : "call.no_picture", { who: other }),
    );
  }

  #figures() {
    if (!this.#scene?.visible) return;
    const { page, words } = this.#scene;
    const { meter, view } = page;
    const elapsed = ref("elapsed");
    const seconds = elapsedS(meter, performance.now());
    setText(elapsed, minutesSeconds(seconds));
    elapsed.dataset.seconds = String(seconds);
    if (this.#party === "guest") return; // who pays nothing is told no price
    const fen = meter?.charge_fen ?? 0;
    const cost = ref("cost");
    setText(cost, words.money(fen, meter?.currency ?? view?.price?.currency ?? "CNY"));
    cost.dataset.chargeFen = String(fen);
    this.#left(meter?.currency ?? view?.price?.currency ?? "CNY");
  }

  /** What is left of a prepaid amount, and a warning when that is little.  @param {string} currency */
  #left(currency) {
    if (!this.#scene || this.#party === "guest") return;
    const { page, words } = this.#scene;
    const left = leftNow(page, performance.now());
    const figure = ref("left");
    show(figure, left !== null);
    setText(figure, leftFigure(left, currency, words));
    figure.dataset.leftMs = String(left?.leftMs ?? "");
    const text = warning(left, this.#party, words);
    show(ref("prepaid-warning"), text !== null);
    setText(ref("prepaid-warning"), text ?? "");
    setText(ref("live-prepaid"), text ?? "");
  }

  /** A camera that is off, or a lost path, leaves a still picture: do not show it as live. */
  async #watch() {
    const receiver = this.#media.peer.pc?.getTransceivers()[1]?.receiver;
    const page = this.#scene?.page;
    if (!this.#scene?.visible || !receiver || page?.view?.mode !== "video") return;
    let decoded = 0;
    for (const report of (await receiver.getStats()).values())
      if (report.type === "inbound-rtp") decoded = report.framesDecoded ?? 0;
    const nowMs = performance.now();
    if (decoded !== this.#frames.decoded) this.#frames = { decoded, atMs: nowMs };
    const stalled = nowMs - this.#frames.atMs > STALLED_AFTER_MS;
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#cover();
  }

  #rings() {
    if (!this.#scene?.visible || ref("cover").hidden) return;
    const receiver = this.#media.peer.pc?.getTransceivers()[0]?.receiver;
    const level = this.#scene.page.pause === null ? receiverLevel(receiver) : 0;
    ref("rings").style.setProperty("--level", level.toFixed(2));
  }

  #fullScreen() {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void ref("stage").requestFullscreen().catch(() => {});
  }
}
