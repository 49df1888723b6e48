/** The physician's guests: invite by a link, see who is there, send out, stop a shared screen. */

import { make, ref, setText, show } from "./dom.js";

/** @typedef {import("./consult.js").ConsolePage} ConsolePage */
/** @typedef {import("./i18n.js").Words} Words */
/** @typedef {import("./protocol").ConsoleCommand} Command */
/** @typedef {import("./protocol").GuestCard} GuestCard */
/** @typedef {import("./protocol").GuestRole} GuestRole */

const MOST = 4;

export class Guests {
  #ask;
  #send;
  #dialog = /** @type {HTMLDialogElement} */ (ref("guests-dialog"));
  #link = /** @type {HTMLInputElement} */ (ref("guest-link"));
  #guestId = "";
  #drawn = "";

  /**
   * @param {(command: import("./protocol").Unsent<Command>) => Promise<Record<string, string> | null>} ask
   *     resolves to the result, null when it was refused and the person was told
   * @param {() => string} consultId
   * @param {AbortSignal} signal
   */
  constructor(ask, consultId, signal) {
    this.#ask = ask;
    this.#send = (/** @type {string} */ guest_id) =>
      void ask({ kind: "remove_guest", consult_id: consultId(), guest_id });
    const on = (/** @type {string} */ name, /** @type {() => void} */ act, event = "click") =>
      ref(name).addEventListener(event, (e) => (e.preventDefault(), act()), { signal });
    on("guests", () => this.#dialog.showModal());
    on("guest-form", () => void this.#invite(consultId()), "submit");
    on("guest-copy", () => void this.#copy());
    on("guest-send", () => void navigator.share({ url: this.#link.value }).catch(() => {}));
    on("screen-stop", () => void ask({ kind: "stop_screen", consult_id: consultId() }));
  }

  /** @param {string} consult_id */
  async #invite(consult_id) {
    const form = /** @type {HTMLFormElement} */ (ref("guest-form"));
    const data = new FormData(form);
    const role = /** @type {GuestRole} */ (data.get("role"));
    const name = String(data.get("name")).trim();
    if (!name) return;
    const result = await this.#ask({ kind: "invite", consult_id, role, name });
    if (!result) return;
    form.reset();
    this.#guestId = result.guest_id ?? "";
    this.#link.value = `${location.origin}/join#${result.token}`;
    show(ref("guest-link-box"), true);
    this.#link.select();
  }

  async #copy() {
    this.#link.select();
    await navigator.clipboard?.writeText(this.#link.value).catch(() => {});
  }

  /** @param {ConsolePage} page  @param {Words} words  @param {boolean} inCall */
  render(page, words, inCall) {
    if (!inCall || !page.view) {
      if (this.#dialog.open) this.#dialog.close();
      show(ref("guest-link-box"), false);
      return;
    }
    const { guests } = page.view;
    const by = page.roster?.screen_by ?? null;
    show(ref("screen-stop"), by !== null && by !== "physician");
    show(ref("guest-form"), guests.length < MOST);
    show(ref("guest-send"), "share" in navigator);
    if (!guests.some(({ id, here }) => id === this.#guestId && !here))
      show(ref("guest-link-box"), false); // used, or taken back
    const drawn = JSON.stringify([words.language, guests]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    ref("guest-list").replaceChildren(...guests.map((guest) => this.#row(guest, words)));
    setText(ref("guests-none"), guests.length === 0 ? words.t("guests.none") : "");
  }

  /** @param {GuestCard} guest  @param {Words} words  @returns {HTMLLIElement} */
  #row(guest, words) {
    const { id, name, here } = guest;
    const remove = make("button", { class: "secondary", text: words.t("guests.remove") });
    remove.type = "button";
    remove.dataset.testid = "remove-guest";
    remove.setAttribute("aria-label", words.t("guests.remove_name", { name }));
    remove.addEventListener("click", () => this.#send(id));
    const who = words.t("room.who", { name, role: words.t(`role.${guest.role}`) });
    const state = make("span", { class: "muted", text: words.t(here ? "guests.here" : "guests.invited") });
    return make("li", { testid: "guest" }, make("span", { text: who }), state, remove);
  }
}
