/** Correcting a bill: a further record, asked for once even if it is sent twice. */

import { ref, setText, show } from "./dom.js";
import { Refused, post } from "./billing-api.js";
import { minorUnits } from "./billing-format.js";
import { endsOf } from "./billing-record.js";
import { exponent } from "./currency.js";
import { newId } from "./signal.js";

/** @typedef {import("./billing-record.js").Explained} Explained */
/** @typedef {import("./i18n.js").Words} Words */

const KNOWN = new Set(["record_superseded", "already_void", "nothing_changes"]);

/** The dialog. One `Idempotency-Key` for each time that it is opened. */
export class Correcting {
  /**
   * @param {() => Words} words  @param {() => string} actor  reference of who is signed in
   * @param {() => void} done  after a correction  @param {AbortSignal} life
   */
  constructor(words, actor, done, life) {
    this.words = words;
    this.actor = actor;
    this.done = done;
    /** @type {Explained | null} */
    this.found = null;
    this.key = "";
    this.form = /** @type {HTMLFormElement} */ (ref("correct-form"));
    this.dialog = /** @type {HTMLDialogElement} */ (ref("correct-dialog"));
    const signal = life;
    ref("correct-cancel").addEventListener("click", () => this.dialog.close(), { signal });
    this.form.addEventListener("change", () => this.fields(), { signal });
    this.form.addEventListener("submit", (event) => (event.preventDefault(), void this.send()), { signal });
  }

  /** @param {Explained} found */
  open(found) {
    this.found = found;
    this.key = newId();
    this.form.reset();
    this.fields();
    show(ref("correct-error"), false);
    const { original } = endsOf(found);
    setText(ref("charge-label"), this.words().t("bill.new_charge", { currency: original.currency }));
    this.dialog.showModal();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Show the fields of what is chosen. */
  fields() {
    const what = this.what();
    show(ref("charge-field"), what === "charge");
    show(ref("seconds-fields"), what === "seconds");
    for (const name of ["charge", "video", "voice"])
      this.input(name).required = what === (name === "charge" ? "charge" : "seconds");
  }

  /** @returns {"charge" | "seconds" | "void"} */
  what() {
    return /** @type {"charge"} */ (new FormData(this.form).get("what"));
  }

  /** @param {string} name  @returns {HTMLInputElement} */
  input(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** @returns {Record<string, unknown> | null} null: a number is none */
  body() {
    if (this.found === null) return null;
    const { original, latest } = endsOf(this.found);
    const what = this.what();
    const common = {
      corrects: latest.record_id,
      kind: what === "void" ? "void" : "adjustment",
      reason: this.input("reason").value.trim(),
      actor: this.actor(),
    };
    if (what === "void") return common;
    if (what === "charge") {
      const charge_fen = minorUnits(this.input("charge").value, exponent(original.currency));
      return charge_fen === null ? null : { ...common, charge_fen };
    }
    const [voice, video] = ["voice", "video"].map((name) => minorUnits(this.input(name).value, 0));
    if (voice == null || video == null) return null;
    return { ...common, mode_seconds: { voice, video } };
  }

  async send() {
    const body = this.body();
    if (body === null) return this.tell(this.words().t("bill.no_number"));
    const button = /** @type {HTMLButtonElement} */ (ref("correct-send"));
    button.disabled = true;
    try {
      await post("/api/v1/adjustments", body, { "idempotency-key": this.key });
      this.dialog.close();
      this.done();
    } catch (error) {
      this.refused(error);
    } finally {
      button.disabled = false;
    }
  }

  /** @param {unknown} error */
  refused(error) {
    // what was refused may be sent anew; what got no answer is sent again under the same key
    if (error instanceof Refused && error.status < 500) this.key = newId();
    const code = error instanceof Refused ? error.code : "";
    if (KNOWN.has(code))
      this.tell(this.words().t(/** @type {import("./i18n.js").Key} */ (`bill.refused.${code}`)));
    else this.tell(this.words().t("error.generic", { message: String(error) }));
  }

  /** @param {string} text */
  tell(text) {
    setText(ref("correct-error"), text);
    show(ref("correct-error"), true);
  }
}
