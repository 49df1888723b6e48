import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyPatient, nextPatient } from "../../static/js/consult.js";
import { Words } from "../../static/js/i18n.js";
import { lasting, leftFigure, leftNow, warning } from "../../static/js/prepaid.js";
import { patientView, tick } from "./samples.js";

const words = new Words("en");
const chinese = new Words("zh-CN");
const PREPAID = { limit_fen: 5000, used_fen: 0, voice_left_s: 273, video_left_s: 135 };
const TOLD = { limit_fen: 5000, used_fen: 4000, left_ms: 61_500 };

/** @param {Parameters<typeof patientView>[0]} view */
const pageOf = (view) =>
  nextPatient(emptyPatient, { kind: "hello", events: [], view: patientView(view) }, 0);

test("a consult without a limit shows none", () => {
  const page = nextPatient(pageOf({ state: "active" }), tick(), 0);
  assert.equal(leftNow(page, 0), null);
  assert.equal(leftFigure(null, "CNY", words), "");
  assert.equal(warning(null, "patient", words), null);
});

test("before the call it says how much is prepaid and how long that lasts in each mode", () => {
  const page = pageOf({ mode: "voice", prepaid: PREPAID });
  assert.deepEqual(leftNow(page, 0), { limitFen: 5000, leftFen: 5000, leftMs: 273_000 });
  assert.equal(lasting(PREPAID, "voice", "CNY", words), "Prepaid: ¥50.00. That lasts for 4 min 33 s of voice.");
  assert.match(lasting(PREPAID, "video", "CNY", chinese), /50\.00.*视频 2 分钟 15 秒/);
  assert.match(lasting({ ...PREPAID, video_left_s: 0 }, "video", "CNY", words), /does not cover a call/);
  assert.equal(lasting({ ...PREPAID, video_left_s: null }, "video", "CNY", words), "Prepaid: ¥50.00");
});

test("in the call what is left runs down between two ticks, and not while nothing is billed", () => {
  const page = nextPatient(pageOf({ state: "active", prepaid: PREPAID }), tick({ prepaid: TOLD }), 100);
  assert.equal(leftNow(page, 700)?.leftMs, 60_900);
  assert.equal(leftNow(page, 99_000)?.leftMs, 60_500, "no tick came: not for longer than a second");
  assert.equal(leftFigure(leftNow(page, 700), "CNY", words), "Left: ¥10.00, 01:00");
  const held = nextPatient(page, tick({ prepaid: TOLD, running: false, pause: "held" }), 200);
  assert.equal(leftNow(held, 900)?.leftMs, 61_500);
});

test("both are warned from 60 s on, and no more once it is topped up", () => {
  const at = (/** @type {number} */ left_ms) =>
    nextPatient(pageOf({ state: "active", prepaid: PREPAID }), tick({ prepaid: { ...TOLD, left_ms } }), 0);
  assert.equal(warning(leftNow(at(60_001), 0), "patient", words), null);
  for (const party of /** @type {const} */ (["patient", "physician"]))
    for (const language of [words, chinese]) assert.ok(warning(leftNow(at(60_000), 0), party, language));
  const more = { ...PREPAID, limit_fen: 9000, voice_left_s: 400, video_left_s: 200 };
  const topped = nextPatient(at(9_000), {
    kind: "consult",
    event: { n: 9, kind: "topped_up", at: "2026-01-01T08:00:00Z", by: "clinic" },
    view: patientView({ state: "active", n: 9, prepaid: more }),
  }, 0);
  assert.equal(leftNow(topped, 0)?.leftMs, 200_000, "as the view says, before the next tick");
  assert.equal(warning(leftNow(topped, 0), "patient", words), null);
});
