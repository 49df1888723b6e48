import assert from "node:assert/strict";
import { test } from "node:test";

import { ClinicTimes, dayIn, duration, minorUnits } from "../../static/js/billing-format.js";
import {
  dayAfter,
  daysOf,
  hashOf,
  monthBefore,
  routeOf,
  searchOf,
} from "../../static/js/billing-route.js";
import { stepsOf } from "../../static/js/billing-steps.js";
import { timelineOf } from "../../static/js/billing-timeline.js";
import { Words } from "../../static/js/i18n.js";

const TODAY = "2026-03-14";
const TARIFF = /** @type {const} */ ({
  currency: "CNY",
  voice_fen_per_min: 1097,
  video_fen_per_min: 2207,
  initial_s: 60,
  increment_s: 6,
  platform_share: "0.2",
  fee_bearer: "physician",
});

test("an address leads to what it was made from", () => {
  for (const route of /** @type {import("../../static/js/billing-route.js").Route[]} */ ([
    { view: "record", id: "rec_1c0bf761a10c878c5e3d41329b8d7349" },
    { view: "statements", of: "organization", month: "2026-02" },
    {
      view: "records",
      from: "2026-01-01",
      to: "2026-01-31",
      physician: "ph@1",
      department: "儿科 & 全科",
      mode: "voice",
    },
    { view: "records", from: TODAY, to: TODAY, physician: null, department: "", mode: null },
  ]))
    assert.deepEqual(routeOf(hashOf(route), "1999-01-01"), route);
});

test("an address that makes no sense leads to this month's records", () => {
  const records = {
    view: "records",
    from: "2026-03-01",
    to: TODAY,
    physician: null,
    department: null,
    mode: null,
  };
  for (const hash of ["", "#", "#x", "#records?from=2026-02-30&to=x&mode=fax", "#record/", "#record/<"])
    assert.deepEqual(routeOf(hash, TODAY), records, hash);
  const statements = { view: "statements", of: "physicians", month: "2026-03" };
  for (const hash of ["#statements", "#statements?month=2026-13&of=nobody"])
    assert.deepEqual(routeOf(hash, TODAY), statements);
});

test("the last day is in a search, as people mean it", () => {
  const route = routeOf("#records?from=2026-02-27&to=2026-02-28&department=", TODAY);
  assert.ok(route.view === "records");
  assert.equal(String(searchOf(route)), "from=2026-02-27&to=2026-03-01&department=");
});

test("days and months follow each other over the ends of years", () => {
  assert.equal(dayAfter("2026-12-31"), "2027-01-01");
  assert.equal(monthBefore("2026-01"), "2025-12");
  assert.deepEqual(daysOf("2028-02"), { from: "2028-02-01", to: "2028-02-29" });
});

test("a day is the clinic's, wherever the browser is", () => {
  const at = new Date("2026-02-28T16:00:00Z");
  assert.equal(dayIn("Asia/Shanghai", at), "2026-03-01");
  assert.equal(dayIn("America/New_York", at), "2026-02-28");
  const times = new ClinicTimes("en", "Asia/Shanghai");
  assert.equal(times.time("2026-02-28T16:05:00Z"), "00:05");
  assert.equal(times.dayKey("2026-02-28T15:59:59.999Z"), "2026-02-28");
  assert.equal(times.month("2026-03"), "March 2026");
  assert.equal(new ClinicTimes("zh-CN", "UTC").month("2026-03"), "2026年3月");
});

test("durations are as on a clock, negative ones too", () => {
  assert.deepEqual([0, 59.9, 425, 3725, -61].map(duration), [
    "0:00",
    "0:59",
    "7:05",
    "1:02:05",
    "-1:01",
  ]);
});

test("an amount is taken as it is typed, or not at all", () => {
  assert.equal(minorUnits("77.70", 2), 7770);
  assert.equal(minorUnits(" 77,7 ", 2), 7770);
  assert.equal(minorUnits("77", 2), 7700);
  assert.equal(minorUnits("77", 0), 77);
  assert.equal(minorUnits("1.234", 3), 1234);
  for (const wrong of ["", "-1", "1.234", "1e3", "1,000.00", "７", "99999999999"])
    assert.equal(minorUnits(wrong, 2), null, wrong);
  assert.equal(minorUnits("1.5", 0), null);
});

/** @param {[string, number, number, string][]} segments  mode, from, to (s), end cause */
function record(segments, ended_s = 100) {
  const at = (/** @type {number} */ s) => new Date(1_770_000_000_000 + s * 1000).toISOString();
  return {
    answered_at: at(-2),
    started_at: at(0),
    ended_at: at(ended_s),
    segments: segments.map(([mode, from, to, end_cause]) => ({
      mode: /** @type {"voice" | "video"} */ (mode),
      physician_id: "ph_1",
      started_at: at(from),
      ended_at: at(to),
      duration_ms: (to - from) * 1000,
      end_cause,
      rate_fen_per_min: 1097,
      estimated: false,
    })),
  };
}

test("the time line knows what was between segments by how they ended", () => {
  const found = timelineOf(
    record([
      ["video", 0, 10, "hold"],
      ["video", 20, 30, "mode_change"],
      ["voice", 30, 40, "media_lost_patient"],
      ["voice", 50, 60, "media_lost_physician"],
      ["voice", 70, 80, "node_lost"],
      ["voice", 90, 100, "physician_finish"],
    ]),
  );
  assert.deepEqual(
    found.spans.map(({ kind, patient, physician }) => [kind, patient, physician]),
    [
      ["connecting", "unknown", "unknown"],
      ["video", "flows", "flows"],
      ["held", "held", "held"],
      ["video", "flows", "flows"],
      ["voice", "flows", "flows"],
      ["lost_patient", "silent", "unknown"],
      ["voice", "flows", "flows"],
      ["lost_physician", "unknown", "silent"],
      ["voice", "flows", "flows"],
      ["node_lost", "unknown", "unknown"],
      ["voice", "flows", "flows"],
    ],
  );
  found.spans.reduce((reached, span) => (assert.equal(span.from_ms, reached), span.to_ms), found.from_ms);
  assert.equal(found.spans.at(-1)?.to_ms, found.to_ms);
});

test("a record without a billed second has a time line too", () => {
  const found = timelineOf(record([], 0));
  assert.deepEqual(found.spans.map(({ kind }) => kind), ["connecting"]);
  const at_once = timelineOf({ ...record([], 0), answered_at: null });
  assert.ok(at_once.to_ms > at_once.from_ms);
  assert.deepEqual(at_once.spans, []);
});

test("ticks are round, few, and begin at the beginning", () => {
  for (const length_s of [1, 7, 59, 61, 337, 3600, 4 * 3600, 20 * 3600, 3 * 86_400]) {
    const { ticks_ms } = timelineOf(record([["voice", 0, length_s, "admin"]], length_s));
    assert.equal(ticks_ms[0], 0);
    assert.ok(ticks_ms.length <= 7 && ticks_ms.length >= 1, String(length_s));
    assert.ok((ticks_ms.at(-1) ?? 0) <= length_s * 1000 + 2000);
  }
});

test("each step of a charge has its sentence, in both languages", () => {
  const lines = /** @type {import("../../static/js/billing-steps.js").Line[]} */ ([
    { step: "allowance", text: "", mode: "video", seconds: 65 },
    { step: "increment", text: "", mode: "video", seconds: 66 },
    { step: "price", text: "", mode: "video", seconds: 66, fen_60ths: 66 * 2207 },
    { step: "sum", text: "", fen_60ths: 66 * 2207 },
    { step: "charge", text: "", fen: 2428 },
    { step: "platform", text: "", fen: 486 },
    { step: "something_new", text: "as the server says", fen: 1 },
  ]);
  const english = stepsOf(lines, TARIFF, new Words("en"));
  assert.deepEqual(
    english.map(({ text, amount }) => `${text} = ${amount}`),
    [
      "Video: 65 s after free seconds = ",
      "Video: in steps of 60/6 s, 66 s = ",
      "Video: 66 s at ¥22.07 a minute = ¥24.277",
      "Sum, exact = ¥24.277",
      "Charge, rounded once = ¥24.28",
      "Platform, 20 %, from the physician's fee = ¥4.86",
      "as the server says = ¥0.01",
    ],
  );
  const chinese = stepsOf(lines, { ...TARIFF, fee_bearer: "patient" }, new Words("zh-CN"));
  assert.equal(chinese[5]?.text, "平台分成 20%，由患者另付");
});
