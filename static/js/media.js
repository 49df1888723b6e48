/**
 * One party's media in a consult: which devices are open and what is sent, from the view alone.
 */

import { isLive } from "./consult.js";
import { CAMERA, Devices } from "./devices.js";
import { hintsOf } from "./mending.js";
import { Peer, onNetworkChange } from "./peer.js";

/** @typedef {import("./protocol").Mode} Mode */
/** @typedef {import("./protocol").State} State */
/** @typedef {import("./protocol").Party} Party */
/** @typedef {import("./protocol").Pause} Pause */
/** @typedef {import("./protocol").Roster} Roster */

/**
 * What the media follow.
 * @typedef {object} Situation
 * @property {State | null} state  null: no consult
 * @property {Mode} mode
 * @property {Pause | null} pause
 * @property {boolean} prepare  open the devices now, though there is no call yet
 * @property {Roster | null} [roster]
 */

/**
 * @typedef {object} MediaPorts
 * @property {(offer: import("./peer.js").Offer, abort: AbortSignal) => Promise<string>} send
 * @property {() => void} reconnect  reach the server anew: the way to it may be gone
 * @property {() => void} changed  devices, mute, camera or connection are other than before
 */

/** From so many participants on, pictures are smaller: phones decode them all, and upload little. */
const CROWD = 4;

export class CallMedia {
  muted = false;
  cameraOff = false;
  devices;
  peer;
  /** The screen that is shared from here. @type {MediaStreamTrack | null} */
  screen = null;
  #me;
  #screenSeen = false;
  /** @type {WeakMap<MediaStreamTrack, boolean>} */
  #small = new WeakMap();
  #ports;
  #party;
  #mediaLost = 0;
  /** @type {Mode | null} */
  #asked = null;
  /** @type {Situation} */
  #situation = { state: null, mode: "voice", pause: null, prepare: false };

  /**
   * @param {MediaPorts} ports  @param {Party | "guest"} party  @param {AbortSignal} signal
   * @param {() => string} me  the participant whose page this is
   */
  constructor(ports, party, signal, me = () => party) {
    this.#ports = ports;
    this.#party = party;
    this.#me = me;
    this.devices = new Devices(() => this.#settle());
    this.peer = new Peer({
      send: ports.send,
      changed: () => ports.changed(),
      stuck: () => ports.reconnect(),
      screenTaken: () => this.unshare(),
    });
    onNetworkChange(() => {
      ports.reconnect();
      this.peer.restartIce();
    }, signal);
  }

  /** @returns {boolean} a call is wanted in which this party takes part */
  get inCall() {
    const { state, pause } = this.#situation;
    return state !== null && isLive(state) && pause !== "hung_up";
  }

  /** @param {Situation} situation */
  follow(situation) {
    this.#situation = situation;
    this.peer.hint(hintsOf(situation.state, situation.pause, this.#party));
    const wantsDevices = this.inCall || situation.prepare;
    const wants = wantsDevices ? situation.mode : null;
    if (wants !== null && wants !== this.#asked)
      void this.devices.open(wants === "video" && !this.cameraOff);
    if (wants === null && this.#asked !== null) this.devices.close();
    this.#asked = wants;
    this.peer.seat(situation.roster?.seats ?? 1);
    this.#followScreen(situation);
    this.#settle();
  }

  /** Who shared and is not the one any more was stopped; and a voice call has no pictures.
   *  @param {Situation} situation */
  #followScreen({ roster, mode }) {
    const mine = roster?.screen_by === this.#me();
    if (mine) this.#screenSeen = true;
    if (this.screen && ((this.#screenSeen && !mine) || mode === "voice" || !this.inCall))
      this.unshare();
  }

  /** Ask which screen to share, and share it. Nothing happens when the person thinks better. */
  async share() {
    if (this.screen) return;
    const video = { frameRate: { max: 8 } };
    const stream = await navigator.mediaDevices.getDisplayMedia({ video }).catch(() => null);
    const track = stream?.getVideoTracks()[0];
    if (!track) return;
    track.contentHint = "detail";
    track.addEventListener("ended", () => this.unshare());
    this.screen = track;
    this.#screenSeen = false;
    this.peer.setScreen(track);
    this.#ports.changed();
  }

  unshare() {
    if (!this.screen) return;
    this.screen.stop();
    this.screen = null;
    this.peer.setScreen(null);
    this.#ports.changed();
  }

  /** In a crowd the camera takes smaller pictures, a guest's the smallest. */
  #fit() {
    const { video } = this.devices;
    const crowded = (this.#situation.roster?.participants.length ?? 0) + 1 >= CROWD;
    if (!video || (this.#small.get(video) ?? false) === crowded) return;
    this.#small.set(video, crowded);
    const guest = this.#me().startsWith("guest");
    const size = guest ? { width: 320, height: 240 } : { width: 480, height: 270 };
    video.applyConstraints(crowded ? { ...size, frameRate: 15 } : CAMERA).catch(() => {});
  }

  /** @param {number} count  of the server's wishes for a new connection so far */
  lost(count) {
    if (count === this.#mediaLost) return;
    this.#mediaLost = count;
    this.peer.renew();
  }

  /** @param {readonly import("./protocol").IceServer[]} servers  to reach the other side through */
  relays(servers) {
    this.peer.setIceServers(servers);
  }

  /** Try the devices again, after the person changed a permission. */
  retry() {
    void this.devices.open(this.#situation.mode === "video" && !this.cameraOff);
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    this.#settle();
  }

  /** A camera that is off is closed: its light goes out.  @param {boolean} off */
  setCameraOff(off) {
    this.cameraOff = off;
    void this.devices.open(this.#situation.mode === "video" && !off);
    this.#settle();
  }

  #settle() {
    const { audio, video } = this.devices;
    const held = this.#situation.state === "held";
    // While held the tracks send silence and black: the flow goes on, so that resuming is instant.
    if (audio) audio.enabled = !this.muted && !held;
    if (video) video.enabled = !held;
    this.#fit();
    this.peer.setTrack("audio", audio);
    this.peer.setTrack("video", this.#situation.mode === "video" ? video : null);
    if (!this.inCall && (this.peer.state !== "idle" || !this.#situation.prepare)) this.peer.stop();
    if (this.inCall && audio) this.peer.start();
    else if (this.#situation.prepare && audio) this.peer.prepare();
    this.#ports.changed();
  }
}
