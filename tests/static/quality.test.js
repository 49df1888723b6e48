import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyPatient, nextPatient } from "../../static/js/consult.js";
import { Words } from "../../static/js/i18n.js";
import { advice, linesOf } from "../../static/js/quality-view.js";
import { line, patientView, quality } from "./samples.js";

const words = new Words("en");
const physician = (/** @type {Parameters<typeof line>[0]} */ other = {}) =>
  line({ participant_id: "physician", ...other });

test("each page shows its own line and the other's", () => {
  const both = quality(line(), physician({ level: 2 }));
  assert.equal(linesOf(both, "patient").self?.participant_id, "patient");
  assert.equal(linesOf(both, "patient").other?.level, 2);
  assert.equal(linesOf(both, "physician").self?.level, 2);
  assert.deepEqual(linesOf(null, "patient"), { self: null, other: null });
  assert.equal(linesOf(quality(line()), "patient").other, null);
  const guest = linesOf(quality(physician(), line({ participant_id: "g_1" })), "guest", "g_1");
  assert.deepEqual([guest.self?.participant_id, guest.other?.participant_id], ["g_1", "physician"]);
});

test("one is told first what one can do something about, and nothing while all is well", () => {
  const weak = line({ level: 1, reason: "upload_weak" });
  const theirs = physician({ level: 1, reason: "download_weak" });
  assert.equal(advice(line(), physician(), "Dr. Wu", words), null);
  assert.match(advice(weak, theirs, "Dr. Wu", words) ?? "", /^Your upload is weak/);
  assert.match(advice(line(), theirs, "Dr. Wu", words) ?? "", /^Dr. Wu: the connection/);
  assert.equal(advice(null, null, "Dr. Wu", words), null);
});

test("a line belongs to its consult and ends with the call", () => {
  const hello = (/** @type {Parameters<typeof patientView>[0]} */ view) => {
    const message = { kind: /** @type {const} */ ("hello"), events: [], view: patientView(view) };
    return message;
  };
  let page = nextPatient(emptyPatient, hello({ state: "active" }), 0);
  page = nextPatient(page, quality(line()), 0);
  assert.equal(page.quality?.lines.length, 1);
  page = nextPatient(page, { ...quality(), consult_id: "c_9876543210" }, 0);
  assert.equal(page.quality?.lines.length, 1);
  page = nextPatient(page, hello({ state: "ended", n: 2 }), 0);
  assert.equal(page.quality, null);
});
