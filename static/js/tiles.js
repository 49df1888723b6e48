/** Everybody else in the room: the large picture's neighbours, and the shared screen. */

import { sendTo } from "./device-view.js";
import { announce, make, ref, setText, show } from "./dom.js";

/** @typedef {import("./media.js").CallMedia} CallMedia */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").Roster} Roster */
/** @typedef {import("./protocol").Seated} Seated */

/**
 * @typedef {object} Gallery  what is to be shown
 * @property {Roster | null} roster
 * @property {Words} words
 * @property {boolean} pictures  the mode has pictures and nothing is paused
 */

const WATCH_EVERY_MS = 500;
const STILL_AFTER_MS = 2000;
const SCREEN = "screen";

/** One participant, or the screen, on the page. */
class Tile {
  video = make("video", { testid: "tile-video" });
  #cover = make("p", { class: "tile-cover" });
  #caption = make("figcaption");
  element = make("figure", { class: "tile", testid: "tile" }, this.video, this.#cover, this.#caption);
  #decoded = 0;
  #movedMs = performance.now();
  #still = false;
  /** @type {(RTCRtpReceiver | null)[]} */
  #receivers = [];

  /** @param {string} id  @param {string | undefined} speaker */
  constructor(id, speaker) {
    this.element.dataset.participant = id;
    this.video.autoplay = true;
    this.video.playsInline = true;
    sendTo(this.video, speaker);
    show(this.#cover, false);
  }

  /** @param {(RTCRtpReceiver | null)[]} receivers  of sound and picture */
  attach(receivers) {
    if (receivers.every((receiver, index) => receiver === this.#receivers[index])) return;
    this.#receivers = receivers;
    const tracks = receivers.flatMap((receiver) => (receiver ? [receiver.track] : []));
    this.video.srcObject = new MediaStream(tracks);
    void this.play();
  }

  async play() {
    try {
      await this.video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      if (this.video.muted) return;
      this.video.muted = true; // until the page is touched
      void this.play();
    }
  }

  /** @param {string} caption  @param {string} noPicture  @param {boolean} pictures */
  render(caption, noPicture, pictures) {
    setText(this.#caption, caption);
    setText(this.#cover, noPicture);
    show(this.#cover, this.#still || !pictures);
    this.element.dataset.still = String(this.#still);
  }

  /** A camera that is off, or a lost path, leaves a still picture: do not show it as live.
   *
   *  What is decoded counts, not what the element has drawn: under its cover it draws nothing.
   *  @param {Map<string, number>} decoded  frames so far, by track
   *  @returns {boolean} whether that changed */
  watch(decoded) {
    const frames = decoded.get(this.#receivers.at(-1)?.track.id ?? "") ?? 0;
    const nowMs = performance.now();
    if (frames !== this.#decoded) [this.#decoded, this.#movedMs] = [frames, nowMs];
    const still = nowMs - this.#movedMs > STILL_AFTER_MS;
    const changed = still !== this.#still;
    this.#still = still;
    return changed;
  }
}

export class Tiles {
  #media;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {Map<string, Seated>} */
  #present = new Map();
  /** @type {Gallery | null} */
  #shown = null;

  /** @param {CallMedia} media */
  constructor(media) {
    this.#media = media;
    setInterval(() => void this.#watch(), WATCH_EVERY_MS);
  }

  /** @param {Gallery | null} gallery  null: there is no call on the screen */
  render(gallery) {
    this.#shown = gallery;
    const { peer, devices } = this.#media;
    const roster = gallery?.roster ?? null;
    const main = peer.pc?.getTransceivers()[0]?.mid ?? null;
    const wanted = new Map();
    if (gallery && roster && roster.screen_mid !== null && gallery.pictures)
      wanted.set(SCREEN, { caption: this.#screenCaption(gallery), mids: [roster.screen_mid] });
    for (const who of roster?.participants ?? [])
      if (gallery && !(who.audio_mid !== null && who.audio_mid === main))
        wanted.set(who.id, {
          caption: captionOf(gallery.words, who),
          mids: [who.audio_mid, who.video_mid],
        });
    for (const [id, tile] of this.#tiles)
      if (!wanted.has(id)) {
        tile.element.remove();
        this.#tiles.delete(id);
      }
    for (const [id, { caption, mids }] of wanted) {
      const tile = this.#tiles.get(id) ?? this.#add(id, devices.chosen.audiooutput);
      tile.attach(mids.map((/** @type {string | null} */ mid) => peer.receiver(mid)));
      const noPicture = gallery?.words.t("call.no_picture", { who: caption }) ?? "";
      tile.render(caption, noPicture, gallery?.pictures ?? false);
    }
    this.#frame(gallery, main);
    this.#tell(gallery);
  }

  /** The page was touched: it may sound now. */
  touched() {
    for (const { video } of this.#tiles.values()) video.muted = false;
  }

  /** @param {string} id  @param {string | undefined} speaker  @returns {Tile} */
  #add(id, speaker) {
    const tile = new Tile(id, speaker);
    this.#tiles.set(id, tile);
    if (id === SCREEN) {
      tile.element.classList.add("screen");
      ref("gallery").prepend(tile.element);
    } else ref("gallery").append(tile.element);
    return tile;
  }

  /** @param {Gallery | null} gallery  @param {string | null} main  where the large picture comes */
  #frame(gallery, main) {
    const frame = ref("gallery");
    frame.dataset.count = String(1 + this.#tiles.size - (this.#tiles.has(SCREEN) ? 1 : 0));
    frame.dataset.screen = String(this.#tiles.has(SCREEN));
    const others = gallery?.roster?.participants ?? [];
    const large = others.find(({ audio_mid }) => audio_mid !== null && audio_mid === main);
    const alone = this.#tiles.size === 0;
    setText(ref("main-caption"), gallery && large && !alone ? captionOf(gallery.words, large) : "");
    const guests = others.filter(({ role }) => role !== "patient" && role !== "physician");
    show(ref("others"), guests.length > 0);
    const names = guests.map((who) => (gallery ? captionOf(gallery.words, who) : "")).join(", ");
    setText(ref("others"), gallery?.words.t("room.others", { names }) ?? "");
  }

  /** Who comes and goes is read out.  @param {Gallery | null} gallery */
  #tell(gallery) {
    const before = this.#present;
    if (!gallery?.roster) {
      if (!gallery) this.#present = new Map();
      return;
    }
    const now = new Map(gallery.roster.participants.map((who) => [who.id, who]));
    this.#present = now;
    if (before.size === 0) return;
    const { words } = gallery;
    const said = [];
    for (const who of now.values())
      if (!before.has(who.id)) said.push(words.t("room.joined", { who: captionOf(words, who) }));
    for (const who of before.values())
      if (!now.has(who.id)) said.push(words.t("room.left", { who: captionOf(words, who) }));
    if (said.length > 0) announce("polite", said.join(" "));
  }

  /** @param {Gallery} gallery  @returns {string} */
  #screenCaption({ roster, words }) {
    const who = roster?.participants.find(({ id }) => id === roster.screen_by);
    return words.t("room.screen", { who: who?.name ?? "" });
  }

  async #watch() {
    const { pc } = this.#media.peer;
    if (!this.#shown?.pictures || this.#tiles.size === 0 || !pc) return;
    const decoded = new Map();
    for (const report of (await pc.getStats()).values())
      if (report.type === "inbound-rtp" && report.kind === "video")
        decoded.set(report.trackIdentifier, report.framesDecoded ?? 0);
    const changes = [...this.#tiles.values()].map((tile) => tile.watch(decoded));
    if (changes.includes(true)) this.render(this.#shown);
  }
}

/** @param {Words} words  @param {Seated} who  @returns {string} */
function captionOf(words, { name, role }) {
  return words.t("room.who", { name, role: words.t(`role.${role}`) });
}
