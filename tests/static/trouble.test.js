import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyPatient, nextPatient } from "../../static/js/consult.js";
import { Words } from "../../static/js/i18n.js";
import { picturesPaused, troubleText } from "../../static/js/trouble.js";
import { patientView, trouble } from "./samples.js";

const words = new Words("en");
const said = (/** @type {Parameters<typeof trouble>[0]} */ what, video = true) =>
  troubleText(trouble(what), video, "patient", "Dr. Wu", words);

test("each party reads whose connection is weak, and that the sound goes on", () => {
  assert.match(said({ weak: ["patient"] }) ?? "", /^Your connection is weak.*sound goes on/);
  assert.match(said({ weak: ["physician"] }) ?? "", /^Dr. Wu: the connection there is weak/);
  assert.match(said({ weak: ["patient", "physician"] }) ?? "", /^Both connections are weak/);
  assert.equal(said({}), null);
  assert.equal(troubleText(null, true, "patient", "Dr. Wu", words), null);
});

test("without pictures nothing is paused", () => {
  assert.equal(said({ weak: ["patient"] }, false), null);
  assert.equal(picturesPaused(trouble({ weak: ["patient"] }), true), true);
  assert.equal(picturesPaused(trouble({ weak: ["patient"] }), false), false);
  assert.equal(picturesPaused(null, true), false);
});

test("who floods is told, and the other party is not", () => {
  assert.match(said({ capped: ["patient"] }, false) ?? "", /far too much data/);
  assert.equal(said({ capped: ["physician"] }), null);
});

test("trouble belongs to its consult and ends with the call", () => {
  const hello = (/** @type {Parameters<typeof patientView>[0]} */ view) => {
    const message = { kind: /** @type {const} */ ("hello"), events: [], view: patientView(view) };
    return message;
  };
  let page = nextPatient(emptyPatient, hello({ state: "active" }), 0);
  page = nextPatient(page, trouble({ weak: ["patient"] }), 0);
  assert.deepEqual(page.trouble?.weak, ["patient"]);
  page = nextPatient(page, trouble({ consult_id: "c_9876543210" }), 0);
  assert.deepEqual(page.trouble?.weak, ["patient"]);
  page = nextPatient(page, hello({ state: "ended", n: 2 }), 0);
  assert.equal(page.trouble, null);
});
