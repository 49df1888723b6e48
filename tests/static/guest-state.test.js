import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyGuest, guestPhase, nextGuest } from "../../static/js/guest-state.js";

/** @param {Partial<import("../../static/js/protocol").GuestView>} [other] */
function view(other = {}) {
  const me = /** @type {const} */ ({ id: "guest-1", role: "family", name: "李", here: false });
  return {
    consult_id: "c_0123456789",
    n: 5,
    state: /** @type {const} */ ("active"),
    mode: /** @type {const} */ ("video"),
    pause: null,
    open: true,
    recorded: false,
    me,
    patient_name: "张",
    physician_name: "王",
    physician_title: "主任",
    organization: "医院",
    ...other,
  };
}

/** @param {Partial<import("../../static/js/protocol").GuestView>} [other] */
const seen = (other) => nextGuest(emptyGuest, { kind: "hello", view: view(other) }, 0);

test("a guest is in the call when they want it and there is one", () => {
  assert.equal(guestPhase(emptyGuest, false), "loading");
  assert.equal(guestPhase(seen(), false), "agree");
  assert.equal(guestPhase(seen(), true), "in-call");
  assert.equal(guestPhase(seen({ state: "waiting", open: false }), true), "guest-waiting");
  assert.equal(guestPhase(seen({ state: "ended", open: false }), true), "closed");
});

test("a removed guest is out, a moved page too", () => {
  const removed = nextGuest(seen(), { kind: "goodbye", code: "removed" }, 0);
  assert.equal(guestPhase(removed, true), "closed");
  const moved = nextGuest(seen(), { kind: "goodbye", code: "moved" }, 0);
  assert.equal(guestPhase(moved, true), "moved");
  const stopping = nextGuest(seen(), { kind: "goodbye", code: "server_stopping" }, 0);
  assert.equal(guestPhase(stopping, true), "in-call");
});

test("a guest is told the time, and an older view changes nothing", () => {
  const elapsed = /** @type {const} */ ({ kind: "elapsed", consult_id: "c_0123456789" });
  const page = nextGuest(seen(), { ...elapsed, elapsed_ms: 9000, running: true, pause: null }, 7);
  assert.deepEqual([page.meter?.video_ms, page.meter?.atMs], [9000, 7]);
  const older = nextGuest(page, { kind: "consult", view: view({ n: 4, state: "held" }) }, 8);
  assert.equal(older, page);
});
