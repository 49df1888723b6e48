import assert from "node:assert/strict";
import { test } from "node:test";

import { failureText } from "../../static/js/failure.js";
import { Words } from "../../static/js/i18n.js";
import { CommandRefused } from "../../static/js/signal.js";

const say = (/** @type {string} */ code, /** @type {"en" | "zh-CN"} */ language = "en") =>
  failureText(new Words(language), new CommandRefused(code, "the server's own words"));

test("a physician who finds all lines in use reads that the patient keeps the place", () => {
  assert.match(say("node_full") ?? "", /lines are all in use.*keeps the place/);
  assert.match(say("node_full", "zh-CN") ?? "", /排队位置会保留/);
});

test("a code without words of its own is said in the server's", () => {
  assert.match(say("something_new") ?? "", /the server's own words/);
  assert.equal(say("closed"), null);
});
