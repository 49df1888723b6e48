/**
 * One party's media in a consult: which devices are open and what is sent, from the view alone.
 */

import { isLive } from "./consult.js";
import { Devices } from "./devices.js";
import { hintsOf } from "./mending.js";
import { Peer, onNetworkChange } from "./peer.js";

/** @typedef {import("./protocol").Mode} Mode */
/** @typedef {import("./protocol").State} State */
/** @typedef {import("./protocol").Party} Party */
/** @typedef {import("./protocol").Pause} Pause */

/**
 * What the media follow.
 * @typedef {object} Situation
 * @property {State | null} state  null: no consult
 * @property {Mode} mode
 * @property {Pause | null} pause
 * @property {boolean} prepare  open the devices now, though there is no call yet
 */

/**
 * @typedef {object} MediaPorts
 * @property {(connectionId: string, sdp: string, abort: AbortSignal) => Promise<string>} send
 * @property {() => void} reconnect  reach the server anew: the way to it may be gone
 * @property {() => void} changed  devices, mute, camera or connection are other than before
 */

export class CallMedia {
  muted = false;
  cameraOff = false;
  devices;
  peer;
  #ports;
  #party;
  #mediaLost = 0;
  /** @type {Mode | null} */
  #asked = null;
  /** @type {Situation} */
  #situation = { state: null, mode: "voice", pause: null, prepare: false };

  /** @param {MediaPorts} ports  @param {Party} party  @param {AbortSignal} signal */
  constructor(ports, party, signal) {
    this.#ports = ports;
    this.#party = party;
    this.devices = new Devices(() => this.#settle());
    this.peer = new Peer({
      send: ports.send,
      changed: () => ports.changed(),
      stuck: () => ports.reconnect(),
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
    this.#settle();
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
    this.peer.setTrack("audio", audio);
    this.peer.setTrack("video", this.#situation.mode === "video" ? video : null);
    if (!this.inCall && (this.peer.state !== "idle" || !this.#situation.prepare)) this.peer.stop();
    if (this.inCall && audio) this.peer.start();
    else if (this.#situation.prepare && audio) this.peer.prepare();
    this.#ports.changed();
  }
}
