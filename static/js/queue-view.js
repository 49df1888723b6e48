/** Who waits, on the console. Rows keep their elements, so that the focus stays where it is. */

import { icon, make, ref, setText, show } from "./dom.js";

/** @typedef {import("./protocol").QueueItem} QueueItem */
/** @typedef {import("./i18n.js").Words} Words */

export const LONG_WAIT_MS = 10 * 60_000;
export const VERY_LONG_WAIT_MS = 20 * 60_000;

/**
 * @param {string} since  RFC 3339
 * @param {number} nowMs  wall clock, milliseconds since the epoch
 * @returns {{minutes: number, grade: "short" | "long" | "very-long"}}
 */
export function waitOf(since, nowMs) {
  const ms = Math.max(0, nowMs - Date.parse(since)); // the clocks of two machines may differ
  const grade = ms >= VERY_LONG_WAIT_MS ? "very-long" : ms >= LONG_WAIT_MS ? "long" : "short";
  return { minutes: Math.floor(ms / 60_000), grade };
}

export class QueueView {
  #list = ref("queue");
  /** @type {Map<string, HTMLLIElement>} */
  #rows = new Map();
  #take;

  /** @param {(consultId: string) => void} take */
  constructor(take) {
    this.#take = take;
  }

  /**
   * @param {readonly QueueItem[]} queue  @param {Words} words
   * @param {boolean} canTake  @param {number} nowMs  wall clock
   */
  render(queue, words, canTake, nowMs) {
    setText(ref("queue-count"), words.count("waiting", queue.length));
    show(ref("queue-count"), queue.length > 0);
    show(ref("queue-empty"), queue.length === 0);
    const next = /** @type {HTMLButtonElement} */ (ref("take-next"));
    next.disabled = !canTake || queue.length === 0;
    const present = new Set(queue.map((item) => item.consult_id));
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    queue.forEach((item, index) => {
      const row = this.#row(item);
      this.#fill(row, item, words, canTake, nowMs);
      const there = this.#list.children[index] ?? null;
      if (there !== row) this.#list.insertBefore(row, there);
    });
  }

  /** @param {QueueItem} item  @returns {HTMLLIElement} */
  #row(item) {
    const known = this.#rows.get(item.consult_id);
    if (known) return known;
    const take = make("button", { class: "primary", testid: "take" });
    take.type = "button";
    take.addEventListener("click", () => this.#take(item.consult_id));
    const row = make(
      "li",
      { class: "queue-item", testid: "queue-item" },
      make("span", { class: "dot" }),
      make(
        "div",
        { class: "who" },
        make("p", { class: "patient" }),
        make("p", { class: "complaint" }),
        make("p", { class: "tags" }),
      ),
      make("p", { class: "wait" }),
      take,
    );
    row.dataset.consultId = item.consult_id;
    this.#rows.set(item.consult_id, row);
    return row;
  }

  /**
   * @param {HTMLLIElement} row  @param {QueueItem} item  @param {Words} words
   * @param {boolean} canTake  @param {number} nowMs
   */
  #fill(row, item, words, canTake, nowMs) {
    const part = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (row.querySelector(name));
    row.dataset.online = String(item.online);
    setText(part(".patient"), item.patient_name);
    setText(part(".complaint"), item.complaint);
    const tags = JSON.stringify([words.language, item]);
    if (row.dataset.tags !== tags) {
      row.dataset.tags = tags;
      part(".tags").replaceChildren(...tagsOf(item, words));
    }
    const { minutes, grade } = waitOf(item.waiting_since, nowMs);
    row.dataset.wait = grade;
    const time = words.count("minutes", minutes);
    const short = minutes === 0 ? "queue.just_now" : "queue.waits";
    setText(part(".wait"), words.t(grade === "short" ? short : "queue.long", { time }));
    part(".wait").title = words.t("queue.until", { time: words.time(item.waiting_since) });
    const take = /** @type {HTMLButtonElement} */ (part("button"));
    setText(take, words.t("take"));
    take.setAttribute("aria-label", words.t("take.name", { name: item.patient_name }));
    take.disabled = !canTake;
  }
}

/** @param {QueueItem} item  @param {Words} words  @returns {HTMLElement[]} */
function tagsOf(item, words) {
  const mode = make("span", { class: "tag" });
  mode.append(icon(item.mode === "video" ? "video" : "phone"), words.t(`mode.${item.mode}`));
  const tags = [
    mode,
    make("span", { class: "tag", text: words.t(item.returning ? "queue.returning" : "queue.new") }),
  ];
  if (item.mine) tags.push(make("span", { class: "tag strong", text: words.t("queue.mine") }));
  if (item.department) tags.push(make("span", { class: "tag", text: item.department }));
  const state = words.t(item.online ? "queue.online" : "queue.offline");
  tags.push(make("span", { class: item.online ? "sr-only" : "tag", text: state }));
  return tags;
}
