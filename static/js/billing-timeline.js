/**
 * A record as stretches of time: what was billed, and what was between, as far as the record knows.
 *
 * Within a segment both sides' media flowed. What came after one is told by how it ended: a hold
 * stops both, lost media one side, a lost node leaves nothing known.
 */

/**
 * @typedef {{
 *   mode: "voice" | "video", physician_id: string, started_at: string, ended_at: string,
 *   duration_ms: number, end_cause: string, rate_fen_per_min: number, estimated: boolean,
 * }} Segment
 * @typedef {"voice" | "video" | "connecting" | "held" | "lost_patient" | "lost_physician"
 *   | "node_lost" | "between"} SpanKind
 * @typedef {"flows" | "held" | "silent" | "unknown"} Flow
 * @typedef {{
 *   kind: SpanKind, from_ms: number, to_ms: number, duration_ms: number, patient: Flow,
 *   physician: Flow, segment: Segment | null,
 * }} Span  epoch milliseconds; `segment` where it is billed
 * @typedef {{from_ms: number, to_ms: number, spans: Span[], ticks_ms: number[]}} Timeline
 *   `ticks_ms` from the beginning on
 * @typedef {{
 *   segments: Segment[], answered_at: string | null, started_at: string, ended_at: string,
 * }} Timed
 */

/** @type {Readonly<Record<SpanKind, readonly [Flow, Flow]>>} patient, physician */
const FLOWS = {
  voice: ["flows", "flows"],
  video: ["flows", "flows"],
  connecting: ["unknown", "unknown"],
  held: ["held", "held"],
  lost_patient: ["silent", "unknown"],
  lost_physician: ["unknown", "silent"],
  node_lost: ["unknown", "unknown"],
  between: ["unknown", "unknown"],
};
/** @type {Readonly<Record<string, SpanKind>>} by the end of the segment before */
const AFTER = {
  hold: "held",
  media_lost_patient: "lost_patient",
  media_lost_physician: "lost_physician",
  node_lost: "node_lost",
};
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];
const MAX_TICKS = 6;

/** @param {Timed} record  an original  @returns {Timeline} */
export function timelineOf(record) {
  const begun_ms = Date.parse(record.answered_at ?? record.started_at);
  const from_ms = Math.min(begun_ms, Date.parse(record.started_at));
  const ended_ms = Date.parse(record.ended_at);
  /** @type {Span[]} */
  const spans = [];
  let reached_ms = from_ms;
  /** @type {SpanKind} */
  let after = "connecting";
  const unbilled = (/** @type {number} */ to_ms) => {
    if (to_ms > reached_ms) spans.push(span(after, reached_ms, to_ms, null));
  };
  for (const segment of record.segments) {
    const [start_ms, end_ms] = [Date.parse(segment.started_at), Date.parse(segment.ended_at)];
    unbilled(start_ms);
    spans.push(span(segment.mode, start_ms, end_ms, segment));
    reached_ms = end_ms;
    after = AFTER[segment.end_cause] ?? "between";
  }
  unbilled(ended_ms);
  const to_ms = Math.max(ended_ms, reached_ms, from_ms + 1);
  return { from_ms, to_ms, spans, ticks_ms: ticks(to_ms - from_ms) };
}

/**
 * @param {SpanKind} kind  @param {number} from_ms  @param {number} to_ms
 * @param {Segment | null} segment  @returns {Span}
 */
function span(kind, from_ms, to_ms, segment) {
  const [patient, physician] = FLOWS[kind];
  const duration_ms = segment ? segment.duration_ms : to_ms - from_ms;
  return { kind, from_ms, to_ms, duration_ms, patient, physician, segment };
}

/** @param {number} length_ms  @returns {number[]} at most seven, in round steps, from 0 on */
function ticks(length_ms) {
  const step_s = STEPS_S.find((s) => length_ms / (s * 1000) <= MAX_TICKS) ?? 86_400;
  const count = Math.min(MAX_TICKS, Math.floor(length_ms / (step_s * 1000)));
  return Array.from({ length: count + 1 }, (_, index) => index * step_s * 1000);
}
