/**
 * What a page knows, as a value: the state before and one message give the state after.
 *
 * Pure: no clock, no DOM, no socket. Times are `performance.now()` milliseconds of the caller.
 */

/** @typedef {import("./protocol").PatientMessage} PatientMessage */
/** @typedef {import("./protocol").ConsoleMessage} ConsoleMessage */
/** @typedef {import("./protocol").MeterTick} MeterTick */
/** @typedef {import("./protocol").State} State */
/** @typedef {import("./protocol").Pause} Pause */
/** @typedef {import("./protocol").Summary} Summary */
/** @typedef {import("./protocol").Roster} Roster */
/** @typedef {import("./protocol").GoodbyeCode} GoodbyeCode */
/** @typedef {import("./protocol").Quality} Quality */
/** @typedef {import("./protocol").PatientView} PatientView */
/** @typedef {import("./protocol").PhysicianView} PhysicianView */
/** @typedef {import("./protocol").QueueItem} QueueItem */
/** @typedef {import("./protocol").IceServer} IceServer */
/** @typedef {import("./protocol").LineTrouble} LineTrouble */
/** @typedef {import("./signal.js").Link} Link */

/** @typedef {MeterTick & {atMs: number}} Meter  a tick and when it came */

/**
 * What the page of either party knows of its call.
 * @template V
 * @typedef {object} Call
 * @property {V | null} view
 * @property {Meter | null} meter
 * @property {Pause | null} pause  why nothing is billed, from whichever message came last
 * @property {Quality | null} quality  how good the lines are
 * @property {LineTrouble | null} trouble  what the server withholds, and why
 * @property {number | null} answerByMs  when an offered consult goes back to the queue
 * @property {number} mediaLost  grows each time the server asks for a new media connection
 * @property {Roster | null} roster  who else is in the room, and where this page gets whom
 */

/**
 * @typedef {Call<PatientView> & {
 *   link: Link, refused: string | null, goodbye: GoodbyeCode | null,
 *   iceServers: readonly IceServer[], place: {place: number, waiting: number} | null,
 * }} PatientPage
 */

/**
 * @typedef {Call<PhysicianView> & {
 *   link: Link, refused: string | null, goodbye: GoodbyeCode | null,
 *   iceServers: readonly IceServer[],
 *   physician: {name: string, title: string} | null, queue: readonly QueueItem[],
 *   receipt: PhysicianView | null,
 * }} ConsolePage
 */

/** @typedef {"loading" | "moved" | "stopped" | "connecting" | "in-call"} Phase  of either page */
/** @typedef {Phase | "invalid" | "agree" | "waiting" | "summary" | "closed"} PatientPhase */
/** @typedef {Phase | "sign-in" | "queue"} ConsolePhase */

/** How long a tick may be stretched: the next one is due after one second. */
export const INTERPOLATE_MS = 1000;

const NO_CALL = Object.freeze({
  view: null,
  meter: null,
  pause: null,
  quality: null,
  trouble: null,
  answerByMs: null,
  mediaLost: 0,
  roster: null,
});

/** @type {PatientPage} */
export const emptyPatient = Object.freeze({
  ...NO_CALL,
  link: "connecting",
  refused: null,
  goodbye: null,
  iceServers: Object.freeze([]),
  place: null,
});

/** @type {ConsolePage} */
export const emptyConsole = Object.freeze({
  ...NO_CALL,
  link: "connecting",
  refused: null,
  goodbye: null,
  iceServers: Object.freeze([]),
  physician: null,
  queue: [],
  receipt: null,
});

/**
 * A kind that no case names. tsc fails when one is left out; at run time a newer server may send
 * kinds that this page does not know, and they change nothing.
 * @template T
 * @param {T} page
 * @param {never} message
 * @returns {T}
 */
function unknown(page, message) {
  void message;
  return page;
}

/**
 * @param {PatientPage} page  left untouched
 * @param {PatientMessage} message
 * @param {number} nowMs
 * @returns {PatientPage}
 */
export function nextPatient(page, message, nowMs) {
  switch (message.kind) {
    case "hello":
      return withView({ ...page, goodbye: null }, message.view, nowMs);
    case "consult":
      return withView(page, message.view, nowMs);
    case "place":
      return { ...page, place: { place: message.place, waiting: message.waiting } };
    case "meter":
      return withMeter(page, message, nowMs);
    case "ice_servers":
      return { ...page, iceServers: message.servers };
    case "quality":
      return page.view?.consult_id === message.consult_id ? { ...page, quality: message } : page;
    case "line":
      return page.view?.consult_id === message.consult_id ? { ...page, trouble: message } : page;
    case "roster":
      return withRoster(page, message);
    case "reconnect_media":
      return { ...page, mediaLost: page.mediaLost + 1 };
    case "goodbye":
      return { ...page, goodbye: message.code };
    case "answer":
      return page; // the connection matches answers to commands
    default:
      return unknown(page, message);
  }
}

/**
 * @param {ConsolePage} page  left untouched
 * @param {ConsoleMessage} message
 * @param {number} nowMs
 * @returns {ConsolePage}
 */
export function nextConsole(page, message, nowMs) {
  switch (message.kind) {
    case "hello": {
      const known = {
        ...page,
        goodbye: null,
        physician: { name: message.physician_name, title: message.physician_title },
        queue: message.queue,
      };
      return message.call ? withView(known, message.call, nowMs) : { ...known, ...NO_CALL };
    }
    case "consult":
      return physicianUpdate(page, message.view, nowMs);
    case "queue":
      return { ...page, queue: nextQueue(page.queue, message.upsert, message.remove) };
    case "meter":
      return withMeter(page, message, nowMs);
    case "quality":
      return page.view?.consult_id === message.consult_id ? { ...page, quality: message } : page;
    case "line":
      return page.view?.consult_id === message.consult_id ? { ...page, trouble: message } : page;
    case "roster":
      return withRoster(page, message);
    case "released":
      return page.view?.consult_id === message.consult_id ? { ...page, ...NO_CALL } : page;
    case "ice_servers":
      return { ...page, iceServers: message.servers };
    case "reconnect_media":
      return { ...page, mediaLost: page.mediaLost + 1 };
    case "goodbye":
      return { ...page, goodbye: message.code };
    case "answer":
      return page;
    default:
      return unknown(page, message);
  }
}

/**
 * @param {ConsolePage} page  @param {PhysicianView} view  @param {number} nowMs
 * @returns {ConsolePage}
 */
function physicianUpdate(page, view, nowMs) {
  const same = page.view?.consult_id === view.consult_id;
  if (isLive(view.state)) {
    // A call that is over for this physician may still change: it is no longer theirs to show.
    if (!same && page.view && isLive(page.view.state)) return page;
    return { ...withView(page, view, nowMs), receipt: null };
  }
  if (!same && page.receipt?.consult_id !== view.consult_id) return page;
  const settled = view.summary && view.state !== "waiting";
  return { ...page, ...(same ? NO_CALL : {}), receipt: settled ? view : page.receipt };
}

/**
 * @template {PatientPage | ConsolePage} P
 * @param {P} page
 * @param {NonNullable<P["view"]>} view
 * @param {number} nowMs
 * @returns {P}
 */
function withView(page, view, nowMs) {
  const same = page.view?.consult_id === view.consult_id;
  if (same && page.view && view.n < page.view.n) return page;
  return {
    ...page,
    view,
    meter: same ? page.meter : null,
    quality: same && isLive(view.state) ? page.quality : null,
    trouble: same && isLive(view.state) ? page.trouble : null,
    roster: same ? page.roster : null,
    pause: view.pause,
    answerByMs: view.answer_by_ms === null ? null : nowMs + view.answer_by_ms,
  };
}

/**
 * @template {PatientPage | ConsolePage} P
 * @param {P} page  @param {MeterTick} tick  @param {number} nowMs
 * @returns {P}
 */
function withMeter(page, tick, nowMs) {
  if (page.view?.consult_id !== tick.consult_id) return page;
  return { ...page, meter: { ...tick, atMs: nowMs }, pause: tick.pause };
}

/**
 * @template {PatientPage | ConsolePage} P
 * @param {P} page  @param {Roster} roster
 * @returns {P}
 */
function withRoster(page, roster) {
  return page.view?.consult_id === roster.consult_id ? { ...page, roster } : page;
}

/**
 * @param {readonly QueueItem[]} queue
 * @param {readonly QueueItem[]} upsert
 * @param {readonly string[]} remove
 * @returns {QueueItem[]} who waits longest comes first
 */
export function nextQueue(queue, upsert, remove) {
  const items = new Map(queue.map((item) => [item.consult_id, item]));
  for (const id of remove) items.delete(id);
  for (const item of upsert) items.set(item.consult_id, item);
  const byAge = (/** @type {QueueItem} */ a, /** @type {QueueItem} */ b) =>
    Date.parse(a.waiting_since) - Date.parse(b.waiting_since) ||
    (a.consult_id < b.consult_id ? -1 : 1);
  return [...items.values()].sort(byAge);
}

/**
 * @template {PatientPage | ConsolePage} P
 * @param {P} page  @param {Link} link  @param {string | null} code
 * @returns {P}
 */
export function withLink(page, link, code) {
  return { ...page, link, refused: link === "refused" ? (code ?? "refused") : null };
}

/** @param {State} state  @returns {boolean} a call is being set up or going on */
export function isLive(state) {
  return ["offered", "connecting", "active", "held", "interrupted"].includes(state);
}

/** @param {PatientPage} page  @returns {PatientPhase} what the patient sees */
export function patientPhase(page) {
  if (page.refused) return "invalid";
  if (page.goodbye === "moved") return "moved";
  if (page.goodbye && page.goodbye !== "server_stopping") return "stopped";
  if (!page.view) return "loading";
  const { state } = page.view;
  switch (state) {
    case "created":
      return "agree";
    case "waiting":
      return "waiting";
    case "offered":
    case "connecting":
      return "connecting";
    case "active":
    case "held":
      return "in-call";
    case "interrupted":
      return page.view.pause === "hung_up" ? "summary" : "in-call";
    case "ended":
      return "summary";
    default:
      return "closed";
  }
}

/** @param {ConsolePage} page  @returns {ConsolePhase} what the physician sees */
export function consolePhase(page) {
  if (page.refused || page.goodbye === "signed_out") return "sign-in";
  if (page.goodbye === "moved") return "moved";
  if (page.goodbye && page.goodbye !== "server_stopping") return "stopped";
  if (!page.physician) return "loading";
  if (!page.view || !isLive(page.view.state)) return "queue";
  return ["offered", "connecting"].includes(page.view.state) ? "connecting" : "in-call";
}

/**
 * @param {Meter | null} meter  @param {number} nowMs
 * @returns {number} whole seconds metered, at most one second ahead of the last tick
 */
export function elapsedS(meter, nowMs) {
  if (!meter) return 0;
  const aheadMs = meter.running ? Math.min(INTERPOLATE_MS, Math.max(0, nowMs - meter.atMs)) : 0;
  return Math.floor((meter.voice_ms + meter.video_ms + aheadMs) / 1000);
}

/**
 * @param {PatientPage | ConsolePage} page
 * @returns {Summary | null} the server's, or what was metered until it comes
 */
export function summaryOf(page) {
  if (page.view?.summary) return page.view.summary;
  if (!page.meter) return null;
  return {
    voice_s: Math.floor(page.meter.voice_ms / 1000),
    video_s: Math.floor(page.meter.video_ms / 1000),
    charge_fen: page.meter.charge_fen,
    currency: page.meter.currency,
    lines: [],
    end_cause: null,
    final: false,
    record_id: null,
  };
}
