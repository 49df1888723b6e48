/** What reaches a person who looks elsewhere: title, notification; and a screen that stays on. */

const FLASH_EVERY_MS = 1000;

/** Ask now, in a click, so that it may be used later. */
export function askForNotifications() {
  if ("Notification" in window && Notification.permission === "default")
    void Notification.requestPermission().catch(() => {});
}

export class Attention {
  #title = document.title;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #flashing;
  /** @type {Notification | null} */
  #notification = null;
  /** @type {WakeLockSentinel | null} */
  #lock = null;
  #awake = false;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      // The browser takes the lock back when the page is hidden.
      if (document.visibilityState === "visible" && this.#awake) void this.#acquire();
    });
  }

  /** @param {string} title  of the page when nothing special happens */
  title(title) {
    this.#title = title;
    if (this.#flashing === undefined) document.title = title;
  }

  /** @param {string} title  @param {string} body  short; shown on lock screens: no names */
  call(title, body) {
    this.calm();
    let odd = true;
    document.title = title;
    this.#flashing = setInterval(() => {
      odd = !odd;
      document.title = odd ? title : this.#title;
    }, FLASH_EVERY_MS);
    this.notify(title, body);
  }

  /** @param {string} title  @param {string} body */
  notify(title, body) {
    if (document.visibilityState === "visible") return;
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    try {
      const notification = new Notification(title, { body, tag: "wenzhen" });
      notification.onclick = () => {
        window.focus();
        notification.close();
      };
      this.#notification = notification;
    } catch {
      // Android's Chrome has the name but wants a service worker: sound and title must do.
    }
  }

  /** The person has seen it. */
  calm() {
    clearInterval(this.#flashing);
    this.#flashing = undefined;
    this.#notification?.close();
    this.#notification = null;
    document.title = this.#title;
  }

  /** Keep the screen on while waiting or talking.  @param {boolean} awake */
  keepAwake(awake) {
    if (awake === this.#awake) return;
    this.#awake = awake;
    if (awake) void this.#acquire();
    else void this.#lock?.release().catch(() => {});
  }

  async #acquire() {
    try {
      this.#lock = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      // Low battery or a browser without it: the screen follows the device's settings.
    }
  }
}
