/** Messages as a server sends them, for the tests beside this file. */

/** @typedef {import("../../static/js/protocol").PatientView} PatientView */
/** @typedef {import("../../static/js/protocol").PhysicianView} PhysicianView */
/** @typedef {import("../../static/js/protocol").QueueItem} QueueItem */
/** @typedef {import("../../static/js/protocol").MeterTick} MeterTick */

/** @typedef {import("../../static/js/protocol").Line} Line */
/** @typedef {import("../../static/js/protocol").Quality} Quality */
/** @typedef {import("../../static/js/protocol").LineTrouble} LineTrouble */

export const CONSULT = "c_0123456789";

const COMMON = {
  consult_id: CONSULT,
  n: 1,
  state: /** @type {const} */ ("waiting"),
  mode: /** @type {const} */ ("video"),
  pause: null,
  patient_online: true,
  physician_online: true,
  proposal: null,
  recording: null,
  service: {
    physician_name: "王",
    physician_title: "主任",
    organization: "医院",
    department: "内科",
  },
  price: {
    voice_fen_per_min: 1097,
    video_fen_per_min: 2207,
    currency: "CNY",
    initial_s: 1,
    increment_s: 1,
    minimum_fen: 0,
    free_s: 0,
    cap_fen: null,
    fee_on_top: "0",
    insurer_base_fen: 0,
    digest: "a".repeat(64),
  },
  prepaid: null,
  created_at: "2026-01-01T08:00:00Z",
  answer_by_ms: null,
  summary: null,
  guests: [],
  patient_name: "张",
};

/** @param {Partial<PatientView>} [other]  @returns {PatientView} */
export function patientView(other = {}) {
  return { ...COMMON, party: "patient", terms_version: "1", may_rejoin: false, ...other };
}

/** @param {Partial<PhysicianView>} [other]  @returns {PhysicianView} */
export function physicianView(other = {}) {
  const own = { complaint: "咳嗽", returning: false, waited_ms: 0, outcome: null, may_record: true };
  return { ...COMMON, party: "physician", ...own, ...other };
}

/** @param {Partial<MeterTick>} [other]  @returns {MeterTick} */
export function tick(other = {}) {
  return {
    kind: "meter",
    consult_id: CONSULT,
    voice_ms: 0,
    video_ms: 0,
    charge_fen: 0,
    currency: "CNY",
    running: true,
    pause: null,
    prepaid: null,
    ...other,
  };
}

/** @param {Partial<QueueItem>} [other]  @returns {QueueItem} */
export function queueItem(other = {}) {
  return {
    consult_id: CONSULT,
    patient_name: "张",
    department: "内科",
    complaint: "咳嗽",
    mode: "video",
    waiting_since: "2026-01-01T08:00:00Z",
    online: true,
    returning: false,
    mine: false,
    ...other,
  };
}

/** @param {number} n */
export function event(n) {
  return { n, kind: "x", at: "2026-01-01T08:00:00Z", by: /** @type {const} */ ("server") };
}

const READING = { rtt_ms: 40, jitter_ms: 3, loss_pct: 0, bitrate_bps: 800_000, fps: 25, mos: 4.4 };

/** @param {Partial<Line>} [other]  @returns {Line} */
export function line(other = {}) {
  return { participant_id: "patient", level: 4, reason: "ok", up: READING, down: READING, ...other };
}

/** @param {Line[]} lines  @returns {Quality} */
export function quality(...lines) {
  return { kind: "quality", consult_id: CONSULT, lines };
}

/** @param {Partial<LineTrouble>} [other]  @returns {LineTrouble} */
export function trouble(other = {}) {
  return { kind: "line", consult_id: CONSULT, weak: [], capped: [], ...other };
}
