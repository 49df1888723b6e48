import assert from "node:assert/strict";
import { test } from "node:test";

import {
  consolePhase,
  elapsedS,
  emptyConsole,
  emptyPatient,
  nextConsole,
  nextPatient,
  nextQueue,
  patientPhase,
  summaryOf,
  withLink,
} from "../../static/js/consult.js";
import { CONSULT, event, patientView, physicianView, queueItem, tick } from "./samples.js";

/** @param {Parameters<typeof patientView>[0]} [view] */
const patientAt = (view) =>
  nextPatient(emptyPatient, { kind: "hello", events: [], view: patientView(view) }, 0);

/** @param {Parameters<typeof physicianView>[0] | null} view */
const consoleAt = (view) =>
  nextConsole(
    emptyConsole,
    {
      kind: "hello",
      physician_name: "王",
      physician_title: "主任",
      queue: [],
      events: [],
      call: view && physicianView(view),
    },
    0,
  );

test("each state of a consult has one place on the patient's page", () => {
  const expected = {
    created: "agree",
    waiting: "waiting",
    offered: "connecting",
    connecting: "connecting",
    active: "in-call",
    held: "in-call",
    interrupted: "in-call",
    ended: "summary",
    cancelled: "closed",
    abandoned: "closed",
    declined: "closed",
    expired: "closed",
    no_show_patient: "closed",
    no_show_physician: "closed",
    failed: "closed",
  };
  for (const [state, phase] of Object.entries(expected))
    assert.equal(patientPhase(patientAt({ state: /** @type {any} */ (state) })), phase, state);
});

test("a patient who hung up sees the summary, not the call", () => {
  const page = patientAt({ state: "interrupted", pause: "hung_up", may_rejoin: true });
  assert.equal(patientPhase(page), "summary");
});

test("an interruption that the meter tells first does not throw the patient out", () => {
  const page = nextPatient(patientAt({ state: "active" }), tick({ pause: "hung_up" }), 0);
  assert.equal(patientPhase(page), "in-call");
});

test("a view older than the one shown is ignored", () => {
  const page = patientAt({ n: 7, state: "active" });
  const view = patientView({ n: 6 });
  const after = nextPatient(page, { kind: "consult", event: event(6), view }, 1);
  assert.equal(after.view?.state, "active");
});

test("the page before a message is left untouched", () => {
  const page = Object.freeze(patientAt({ state: "active" }));
  const before = structuredClone(page);
  nextPatient(page, tick({ video_ms: 900 }), 5);
  assert.deepEqual(page, before);
});

test("a reload into a call shows the call at once", () => {
  assert.equal(patientPhase(patientAt({ state: "active", n: 9 })), "in-call");
  assert.equal(consolePhase(consoleAt({ state: "held", n: 9 })), "in-call");
});

test("elapsed time runs at most one second ahead of the last tick, and not in a pause", () => {
  const { meter } = nextPatient(patientAt({ state: "active" }), tick({ video_ms: 4900 }), 100);
  assert.equal(elapsedS(meter, 100), 4);
  assert.equal(elapsedS(meter, 250), 5);
  assert.equal(elapsedS(meter, 99_000), 5);
  const held = nextPatient(
    patientAt({ state: "held" }),
    tick({ voice_ms: 3000, video_ms: 1999, running: false, pause: "held" }),
    100,
  );
  assert.equal(elapsedS(held.meter, 99_000), 4);
  assert.equal(held.pause, "held");
  assert.equal(elapsedS(null, 5), 0);
});

test("a tick of another consult changes nothing", () => {
  const page = patientAt({ state: "active" });
  assert.equal(nextPatient(page, tick({ consult_id: "c_9999999999" }), 0), page);
});

test("the deadline of an offer is on the page's own clock", () => {
  const page = nextPatient(
    emptyPatient,
    { kind: "hello", events: [], view: patientView({ state: "offered", answer_by_ms: 45_000 }) },
    1000,
  );
  assert.equal(page.answerByMs, 46_000);
});

test("moved, malformed and refused end the page; a stopping server does not", () => {
  const page = patientAt({ state: "waiting" });
  const after = (/** @type {any} */ code) =>
    patientPhase(nextPatient(page, { kind: "goodbye", code }, 0));
  assert.equal(after("moved"), "moved");
  assert.equal(after("malformed"), "stopped");
  assert.equal(after("flooding"), "stopped");
  assert.equal(after("server_stopping"), "waiting");
  assert.equal(patientPhase(withLink(page, "refused", "link_invalid")), "invalid");
  assert.equal(patientPhase(withLink(page, "lost", null)), "waiting");
});

test("a kind from a newer server changes nothing", () => {
  const page = patientAt({});
  assert.equal(nextPatient(page, /** @type {any} */ ({ kind: "chat" }), 0), page);
  const console_ = consoleAt(null);
  assert.equal(nextConsole(console_, /** @type {any} */ ({ kind: "chat" }), 0), console_);
});

test("what was metered is the summary until the server sends one", () => {
  const page = nextPatient(
    patientAt({ state: "active" }),
    tick({ voice_ms: 3999, video_ms: 10_000, charge_fen: 441 }),
    0,
  );
  const summary = summaryOf(page);
  assert.equal(summary?.voice_s, 3);
  assert.equal(summary?.video_s, 10);
  assert.equal(summary?.final, false);
  assert.equal(summaryOf(emptyPatient), null);
});

test("the queue is in the order of waiting, whatever order changes come in", () => {
  const older = queueItem({ consult_id: "c_aaaaaaaa", waiting_since: "2026-01-01T07:00:00Z" });
  const newer = queueItem({ consult_id: "c_bbbbbbbb", waiting_since: "2026-01-01T09:00:00+00:00" });
  assert.deepEqual(nextQueue([newer], [older], []), [older, newer]);
  const offline = { ...older, online: false };
  assert.deepEqual(nextQueue([older, newer], [offline], [newer.consult_id]), [offline]);
});

test("a physician's call ends in the queue, with a receipt", () => {
  const called = consoleAt({ state: "active", n: 3 });
  const summary = {
    voice_s: 0,
    video_s: 10,
    charge_fen: 368,
    currency: "CNY",
    lines: [],
    end_cause: /** @type {const} */ ("physician_finish"),
    final: true,
    record_id: "r",
  };
  const view = physicianView({ state: "ended", n: 4, summary });
  const ended = nextConsole(called, { kind: "consult", event: event(4), view }, 0);
  assert.equal(consolePhase(ended), "queue");
  assert.equal(ended.receipt?.summary?.charge_fen, 368);
  const released = nextConsole(ended, { kind: "released", consult_id: CONSULT }, 0);
  assert.equal(released.receipt?.summary?.charge_fen, 368);
});

test("a patient put back leaves no call and no receipt", () => {
  const view = physicianView({ state: "waiting", n: 4 });
  const called = consoleAt({ state: "offered", n: 3 });
  assert.equal(consolePhase(called), "connecting");
  const back = nextConsole(called, { kind: "consult", event: event(4), view }, 0);
  assert.equal(consolePhase(back), "queue");
  assert.equal(back.receipt, null);
});

test("released frees the console from that call and from no other", () => {
  const called = consoleAt({ state: "interrupted", n: 3 });
  const other = nextConsole(called, { kind: "released", consult_id: "c_9999999999" }, 0);
  assert.equal(consolePhase(other), "in-call");
  const free = nextConsole(called, { kind: "released", consult_id: CONSULT }, 0);
  assert.equal(consolePhase(free), "queue");
});

test("a late word about a former patient does not replace the call", () => {
  const called = consoleAt({ state: "active", n: 3 });
  const view = physicianView({ consult_id: "c_9999999999", state: "interrupted", n: 50 });
  const page = nextConsole(called, { kind: "consult", event: event(50), view }, 0);
  assert.equal(page.view?.consult_id, CONSULT);
});

test("a signed-out console shows the sign-in", () => {
  assert.equal(consolePhase(emptyConsole), "loading");
  const page = nextConsole(consoleAt(null), { kind: "goodbye", code: "signed_out" }, 0);
  assert.equal(consolePhase(page), "sign-in");
});

test("each wish for new media is counted, so that none is taken twice", () => {
  const lost = { kind: /** @type {const} */ ("reconnect_media"), consult_id: CONSULT };
  assert.equal(nextPatient(patientAt({}), lost, 0).mediaLost, 1);
  assert.equal(nextConsole(nextConsole(consoleAt({}), lost, 0), lost, 0).mediaLost, 2);
});

test("relays are kept over everything that happens to a call", () => {
  const servers = [{ urls: ["turn:a"], username: "1:b", credential: "c" }];
  const told = nextConsole(consoleAt({ state: "active" }), { kind: "ice_servers", servers, ttl_s: 9 }, 0);
  const after = nextConsole(told, { kind: "released", consult_id: CONSULT }, 0);
  assert.equal(after.iceServers, servers);
});
