import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ANSWER_WITHIN_MS,
  QUIET_MS,
  RESTART_WITHIN_MS,
  hintsOf,
  nextWatch,
  startWatch,
} from "../../static/js/mending.js";
import { rtcIceServers } from "../../static/js/peer.js";

/**
 * Look every 250 ms for a while.
 * @param {number} lookMs
 * @param {(nowMs: number) => Partial<import("../../static/js/mending.js").Signs>} signs
 * @returns {[number, string][]} what was done, and when
 */
function watched(lookMs, signs) {
  let watch = startWatch(0);
  /** @type {[number, string][]} */
  const done = [];
  for (let nowMs = 0; nowMs <= lookMs; nowMs += 250) {
    const seen = { received: 0, expected: true, unheard: false, pending: false, nowMs, ...signs(nowMs) };
    const result = nextWatch(watch, seen);
    watch = result.watch;
    if (result.remedy !== "none") done.push([nowMs, result.remedy]);
  }
  return done;
}

test("while packets come nothing is mended", () => {
  assert.deepEqual(watched(60_000, (nowMs) => ({ received: nowMs })), []);
});

test("a second without a packet is an ICE restart, then come new connections, ever rarer", () => {
  const lost = watched(40_000, (nowMs) => ({ received: Math.min(nowMs, 5000) }));
  assert.deepEqual(lost.slice(0, 4), [
    [5000 + QUIET_MS, "restart"],
    [5000 + QUIET_MS + RESTART_WITHIN_MS, "renew"],
    [5000 + QUIET_MS + RESTART_WITHIN_MS + 5000, "relay"],
    [5000 + QUIET_MS + RESTART_WITHIN_MS + 15_000, "renew"],
  ]);
  assert.ok(lost.length <= 6);
});

test("silence that nobody promised to break is no trouble", () => {
  assert.deepEqual(watched(20_000, () => ({ expected: false })), []);
  const held = watched(20_000, (nowMs) => ({
    received: Math.min(nowMs, 5000),
    expected: nowMs < 5500 || nowMs > 15_000,
  }));
  assert.deepEqual(held[0], [15_250 + QUIET_MS - 250, "restart"], "counted from the resumption");
});

test("whom the server does not hear mends at once, though nothing should arrive", () => {
  const unheard = watched(3000, (nowMs) => ({ expected: false, unheard: nowMs >= 1000 }));
  assert.deepEqual(unheard, [
    [1000, "restart"],
    [2500, "renew"],
  ]);
});

test("an offer without an answer is given time, but not for ever", () => {
  const slow = watched(20_000, (nowMs) => ({ pending: nowMs > 1000 && nowMs < 3000 }));
  assert.deepEqual(slow.slice(0, 2), [
    [1000, "restart"],
    [3750, "renew"],
  ]);
  const dead = watched(20_000, (nowMs) => ({ pending: nowMs > 1000 }));
  assert.ok(dead[1] !== undefined && dead[1][0] <= 1000 + ANSWER_WITHIN_MS + 1000, String(dead));
});

test("a moment in which nothing is known does not begin anew", () => {
  const flapping = watched(8000, (nowMs) => ({
    expected: nowMs < 2000,
    unheard: nowMs >= 2250,
  }));
  assert.deepEqual(
    flapping.map(([, remedy]) => remedy),
    ["restart", "renew", "relay"],
  );
});

test("what helped once is tried first the next time", () => {
  const twice = watched(20_000, (nowMs) => ({
    received: nowMs < 5000 ? nowMs : nowMs < 7000 ? 5000 : Math.min(nowMs, 10_000),
  }));
  assert.deepEqual(
    twice.slice(0, 3).map(([, remedy]) => remedy),
    ["restart", "restart", "renew"],
  );
});

test("the server's word on who is heard is read from this side", () => {
  assert.deepEqual(hintsOf("active", null, "patient"), { expected: true, unheard: false });
  assert.deepEqual(hintsOf("active", "patient_silent", "patient"), { expected: false, unheard: true });
  assert.deepEqual(hintsOf("active", "patient_silent", "physician"), {
    expected: false,
    unheard: false,
  });
  assert.deepEqual(hintsOf("active", "both_silent", "physician"), { expected: false, unheard: true });
  assert.deepEqual(hintsOf("held", "held", "patient"), { expected: false, unheard: false });
  assert.deepEqual(hintsOf("interrupted", "both_silent", "patient"), {
    expected: false,
    unheard: false,
  });
});

test("servers without a name have no password either", () => {
  assert.deepEqual(
    rtcIceServers([
      { urls: ["stun:a"], username: null, credential: null },
      { urls: ["turn:a"], username: "1:b", credential: "c" },
    ]),
    [{ urls: ["stun:a"] }, { urls: ["turn:a"], username: "1:b", credential: "c" }],
  );
});
