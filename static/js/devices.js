/**
 * Camera and microphone: opened, chosen, and explained where they are refused.
 */

/** @typedef {"denied" | "missing" | "busy" | "insecure" | "unknown"} Trouble */
/** @typedef {"chrome" | "safari" | "ios" | "firefox" | "wechat" | "other"} Browser */
/** @typedef {"audioinput" | "videoinput" | "audiooutput"} DeviceKind */

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** What a camera is asked for. */
export const CAMERA = {
  width: { ideal: 960 },
  height: { ideal: 540 },
  frameRate: { ideal: 30, max: 30 },
};

/**
 * @param {unknown} error  of getUserMedia (W3C Media Capture and Streams, section 10.2)
 * @returns {Trouble}
 */
export function troubleOf(error) {
  switch (error instanceof Error || error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    case "InsecureContext":
      return "insecure";
    default:
      return "unknown";
  }
}

/** @param {string} userAgent  @returns {Browser} whose permission dialog to describe */
export function browserOf(userAgent) {
  if (/MicroMessenger/i.test(userAgent)) return "wechat";
  if (/iPhone|iPad/.test(userAgent)) return "ios";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Chrom(e|ium)\/|CriOS|Edg\//.test(userAgent)) return "chrome";
  if (/Safari\//.test(userAgent)) return "safari";
  return "other";
}

/** @param {MediaStreamConstraints} constraints  @returns {Promise<MediaStream>} */
async function capture(constraints) {
  if (!navigator.mediaDevices) {
    const error = new Error("getUserMedia needs HTTPS or localhost");
    error.name = "InsecureContext";
    throw error;
  }
  return navigator.mediaDevices.getUserMedia(constraints);
}

export class Devices {
  /** @type {MediaStreamTrack | null} */
  audio = null;
  /** @type {MediaStreamTrack | null} */
  video = null;
  /** @type {{audio: Trouble | null, video: Trouble | null}} */
  trouble = { audio: null, video: null };
  /** @type {Partial<Record<DeviceKind, string>>} */
  chosen = {};
  busy = false;
  /** Grows when devices were plugged in or out. */
  plugged = 0;
  #changed;
  /** @type {Promise<void>} */
  #queue = Promise.resolve();

  /** @param {() => void} changed  a track came or went, or something is in the way */
  constructor(changed) {
    this.#changed = changed;
    navigator.mediaDevices?.addEventListener("devicechange", () => {
      this.plugged += 1;
      this.#changed();
    });
  }

  /**
   * Have the microphone, and the camera or not. What is open stays open; calls follow each other.
   * A camera that cannot be had leaves the microphone: the call may go on with voice only.
   * @param {boolean} wantVideo
   * @returns {Promise<void>} never rejects: look at `audio`, `video` and `trouble`
   */
  open(wantVideo) {
    this.#queue = this.#queue.then(() => this.#open(wantVideo));
    return this.#queue;
  }

  /** Give both back: their lights go out. */
  close() {
    this.#queue = this.#queue.then(() => {
      this.#drop("audio");
      this.#drop("video");
      this.trouble = { audio: null, video: null };
      this.#changed();
    });
  }

  /** @param {DeviceKind} kind  @param {string} id  @returns {Promise<void>} */
  choose(kind, id) {
    this.chosen = { ...this.chosen, [kind]: id };
    const hadVideo = this.video !== null;
    if (kind === "audioinput") this.#drop("audio");
    if (kind === "videoinput") this.#drop("video");
    return kind === "audiooutput" ? Promise.resolve(this.#changed()) : this.open(hadVideo);
  }

  /** @returns {Promise<MediaDeviceInfo[]>} all there are, once a permission was given */
  async list() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((device) => device.deviceId !== "");
  }

  /** @param {boolean} wantVideo */
  async #open(wantVideo) {
    if (!wantVideo) this.#drop("video");
    const needAudio = this.audio?.readyState !== "live";
    const needVideo = wantVideo && this.video?.readyState !== "live";
    if (!wantVideo) this.trouble.video = null;
    if (needAudio || needVideo) {
      this.busy = true;
      this.#changed();
      // Together first, so that the browser asks once; then each alone, to know which one failed.
      if (!(needAudio && needVideo && (await this.#try(true, true)))) {
        if (needAudio) await this.#try(true, false);
        if (needVideo) await this.#try(false, true);
      }
      this.busy = false;
    }
    this.#changed();
  }

  /**
   * @param {boolean} audio  @param {boolean} video
   * @returns {Promise<boolean>}
   */
  async #try(audio, video) {
    try {
      const stream = await capture({
        audio: audio && { ...AUDIO, ...this.#exactly("audioinput") },
        video: video && { ...CAMERA, facingMode: "user", ...this.#exactly("videoinput") },
      });
      for (const track of stream.getTracks())
        this.#take(track.kind === "audio" ? "audio" : "video", track);
      return true;
    } catch (error) {
      if (audio && video) return false;
      this.trouble = { ...this.trouble, [audio ? "audio" : "video"]: troubleOf(error) };
      return false;
    }
  }

  /** @param {"audioinput" | "videoinput"} kind */
  #exactly(kind) {
    const id = this.chosen[kind];
    return id === undefined ? {} : { deviceId: { exact: id } };
  }

  /** @param {"audio" | "video"} kind  @param {MediaStreamTrack} track */
  #take(kind, track) {
    this[kind]?.stop();
    this[kind] = track;
    this.trouble = { ...this.trouble, [kind]: null };
    track.addEventListener("ended", () => {
      if (this[kind] !== track) return;
      this[kind] = null; // unplugged, or taken back by the browser
      this.trouble = { ...this.trouble, [kind]: "missing" };
      const input = kind === "audio" ? "audioinput" : "videoinput";
      const { [input]: _gone, ...rest } = this.chosen;
      this.chosen = rest;
      if (kind === "audio") void this.open(this.video !== null);
      else this.#changed();
    });
  }

  /** @param {"audio" | "video"} kind */
  #drop(kind) {
    const track = this[kind];
    this[kind] = null;
    track?.stop();
  }
}
