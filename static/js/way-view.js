/** The connection test on the check page: when it runs, and what it says. */

import { ref, setText, show } from "./dom.js";
import { testWays } from "./ways.js";

/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./ways.js").Verdict} Verdict */

/** @type {Record<Verdict, string>} */
const ICONS = {
  untested: "check",
  testing: "clock",
  fast: "check",
  slow: "warning",
  detour: "warning",
  none: "close",
};

export class WayView {
  /** @type {Verdict} */
  verdict = "untested";
  #ask;
  #changed;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {readonly import("./protocol").IceServer[]} */
  #servers = [];
  #visible = false;

  /**
   * @param {import("./ways.js").Ask} ask
   * @param {() => void} changed  the verdict is another
   * @param {AbortSignal} signal
   */
  constructor(ask, changed, signal) {
    this.#ask = ask;
    this.#changed = changed;
    ref("way-again").addEventListener("click", () => this.test(), { signal });
  }

  /** Test now, and forget a test that is under way. */
  test() {
    this.#running?.abort();
    if (!this.#visible) return;
    const running = new AbortController();
    this.#running = running;
    this.#enter("testing");
    void testWays(this.#ask, this.#servers, running.signal).then((verdict) => {
      if (this.#running !== running) return;
      this.#running = null;
      this.#enter(verdict);
    });
  }

  /**
   * @param {Words} words
   * @param {boolean} visible  the check is on the screen; the first time begins the test
   * @param {readonly import("./protocol").IceServer[]} servers
   */
  render(words, visible, servers) {
    const begins = visible && (!this.#visible || servers.length !== this.#servers.length);
    this.#visible = visible;
    this.#servers = servers;
    if (begins) queueMicrotask(() => this.test());
    if (!visible) this.#leave();
    const box = ref("way");
    show(box, visible && this.verdict !== "untested");
    box.dataset.verdict = this.verdict;
    const icon = `/static/icons.svg#${ICONS[this.verdict]}`;
    ref("way-icon").setAttribute("href", icon);
    if (this.verdict !== "untested") setText(ref("way-text"), words.t(`way.${this.verdict}`));
    show(ref("way-again"), this.verdict !== "testing" && this.verdict !== "fast");
  }

  /** Whoever comes back finds the test anew: the network may be another by then. */
  #leave() {
    this.#running?.abort();
    this.#running = null;
    this.verdict = "untested";
  }

  /** @param {Verdict} verdict */
  #enter(verdict) {
    if (this.verdict === verdict) return;
    this.verdict = verdict;
    this.#changed();
  }
}
