/** Preview, level meter, choice of devices, and what to do when something is refused. */

import { browserOf } from "./devices.js";
import { ref, setText, show } from "./dom.js";
import { meterTrack } from "./level.js";

/** @typedef {import("./media.js").CallMedia} CallMedia */
/** @typedef {import("./devices.js").DeviceKind} DeviceKind */
/** @typedef {import("./i18n.js").Words} Words */

/**
 * @param {Words} words
 * @param {import("./devices.js").Devices} devices
 * @param {boolean} wantVideo
 * @returns {string | null} what is wrong and what helps
 */
export function troubleText(words, devices, wantVideo) {
  const { audio, video } = devices.trouble;
  const trouble = audio ?? (wantVideo ? video : null);
  if (trouble === null) return null;
  const kind = audio ? "audio" : "video";
  const text = words.t(`trouble.${kind}.${trouble}`);
  if (trouble !== "denied") return text;
  return `${text} ${words.t(`allow.${browserOf(navigator.userAgent)}`)}`;
}

/** @param {HTMLVideoElement} video  @param {MediaStreamTrack | null} track */
export function showTrack(video, track) {
  const stream = video.srcObject instanceof MediaStream ? video.srcObject : null;
  if ((stream?.getVideoTracks()[0] ?? null) === track) return;
  video.srcObject = track && new MediaStream([track]);
}

/** @param {HTMLVideoElement} video  @param {string | undefined} speaker  undefined: the usual one */
export function sendTo(video, speaker) {
  const element = /** @type {HTMLVideoElement & {setSinkId?: (id: string) => Promise<void>}} */ (
    video
  );
  if (speaker !== undefined) element.setSinkId?.(speaker).catch(() => {}); // keeps the former one
}

export class DeviceView {
  #media;
  /** @type {{track: MediaStreamTrack, end: AbortController} | null} */
  #metered = null;
  #listed = "";

  /** @param {CallMedia} media  @param {AbortSignal} signal */
  constructor(media, signal) {
    this.#media = media;
    for (const select of this.#selects())
      select.addEventListener("change", () => this.#chosen(select), { signal });
    for (const name of ["retry", "waiting-retry", "connecting-retry", "call-retry"]) {
      const button = document.querySelector(`[data-ref="${name}"]`);
      button?.addEventListener("click", () => media.retry(), { signal });
    }
    const dialog = /** @type {HTMLDialogElement} */ (ref("settings-dialog"));
    ref("settings").addEventListener("click", () => dialog.showModal(), { signal });
    const speakers = "setSinkId" in HTMLMediaElement.prototype;
    for (const label of document.querySelectorAll("[data-speaker]")) show(label, speakers);
  }

  /**
   * @param {Words} words
   * @param {boolean} wantVideo
   * @param {boolean} metering  the level meter is on the screen
   */
  render(words, wantVideo, metering) {
    const { devices } = this.#media;
    showTrack(/** @type {HTMLVideoElement} */ (ref("preview")), devices.video);
    const note = devices.busy
      ? words.t("check.opening")
      : devices.video
        ? ""
        : words.t("check.camera_off");
    setText(ref("preview-note"), note);
    const text = troubleText(words, devices, wantVideo);
    for (const name of ["", "waiting-", "connecting-", "call-"]) {
      const box = document.querySelector(`[data-ref="${name}trouble"]`);
      if (!box) continue;
      show(box, text !== null);
      setText(ref(`${name}trouble-text`), text ?? "");
    }
    this.#meter(metering ? devices.audio : null);
    void this.#list(words);
  }

  /** @param {MediaStreamTrack | null} track */
  #meter(track) {
    if ((this.#metered?.track ?? null) === track) return;
    this.#metered?.end.abort();
    this.#metered = null;
    if (!track) return;
    const end = new AbortController();
    this.#metered = { track, end };
    const bar = ref("level");
    const show = (/** @type {number} */ level) => {
      bar.style.setProperty("--level", level.toFixed(2));
      bar.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    };
    meterTrack(track, show, end.signal);
  }

  /** @returns {HTMLSelectElement[]} */
  #selects() {
    return [...document.querySelectorAll("select")].filter((select) => select.dataset.device);
  }

  /** @param {HTMLSelectElement} select */
  #chosen(select) {
    const kind = /** @type {DeviceKind} */ (select.dataset.device);
    void this.#media.devices.choose(kind, select.value);
    if (kind !== "audiooutput") return;
    for (const video of ref("gallery").querySelectorAll("video"))
      sendTo(video, select.value);
  }

  /** @param {Words} words */
  async #list(words) {
    const { devices } = this.#media;
    const { audio, video, chosen, plugged } = devices;
    const state = JSON.stringify([words.language, audio?.id, video?.id, chosen, plugged]);
    if (state === this.#listed) return;
    this.#listed = state;
    const all = await devices.list();
    const inUse = {
      audioinput: audio?.getSettings().deviceId,
      videoinput: video?.getSettings().deviceId,
      audiooutput: chosen.audiooutput,
    };
    for (const select of this.#selects()) {
      const kind = /** @type {DeviceKind} */ (select.dataset.device);
      const options = all
        .filter((device) => device.kind === kind)
        .map((device) => new Option(device.label || words.t("devices.default"), device.deviceId));
      if (options.length === 0) options.push(new Option(words.t("devices.default"), ""));
      select.replaceChildren(...options);
      select.value = inUse[kind] ?? options[0]?.value ?? "";
    }
  }
}
