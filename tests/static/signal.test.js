import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { beforeEach, mock, test } from "node:test";

import { CommandRefused, Signal, newId, refusal, retryDelayMs } from "../../static/js/signal.js";

/** A network in memory: what socket.io's client does for the page, without a server. */
class Wire extends EventEmitter {
  connects = 0;
  disconnects = 0;
  /** @type {any[]} */
  sent = [];
  connect() {
    this.connects += 1;
  }
  disconnect() {
    this.disconnects += 1;
  }
  /** @override  @param {string} name  @param {any} payload */
  emit(name, payload) {
    if (name === "command") return Boolean(this.sent.push(payload));
    return super.emit(name, payload);
  }
}

/** @type {Wire} */
let wire;
/** @type {Signal<any, any>} */
let signal;
/** @type {any[]} */
let heard;
/** @type {string[]} */
let links;

beforeEach(() => {
  wire = new Wire();
  heard = [];
  links = [];
  signal = new Signal(wire, {
    message: (message) => heard.push(message),
    link: (link, code) => links.push(code ? `${link}:${code}` : link),
  });
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  signal.open();
});

const hello = () => wire.emit("message", { kind: "hello" });
/** @param {string} id  @param {Record<string, string>} [result] */
const answer = (id, result = {}) =>
  wire.emit("message", { kind: "answer", command_id: id, ok: true, result, error: null });

test("ids fit the protocol and differ", () => {
  assert.match(newId(), /^[A-Za-z0-9_-]{8,64}$/);
  assert.equal(new Set(Array.from({ length: 100 }, newId)).size, 100);
});

test("delays grow, are jittered, and are bounded", () => {
  assert.ok(retryDelayMs(0, 0) < retryDelayMs(4, 0));
  assert.ok(retryDelayMs(3, 0) < retryDelayMs(3, 0.9));
  assert.ok(retryDelayMs(1000, 0.999) <= 5000);
});

test("a command waits for the hello, and its answer finds it", async () => {
  const result = signal.command({ kind: "take", consult_id: null });
  assert.deepEqual(wire.sent, []);
  hello();
  assert.equal(wire.sent.length, 1);
  answer(wire.sent[0].id, { consult_id: "c_1" });
  assert.deepEqual(await result, { consult_id: "c_1" });
  assert.deepEqual(heard, [{ kind: "hello" }]); // answers are not for the page
});

test("an unanswered command is sent again with the same id after a reconnect", async () => {
  hello();
  const result = signal.command({ kind: "hang_up" });
  wire.emit("disconnect", "transport close");
  mock.timers.tick(1000);
  assert.equal(wire.connects, 2);
  assert.equal(wire.sent.length, 1);
  hello();
  assert.equal(wire.sent.length, 2);
  assert.deepEqual(wire.sent[0], wire.sent[1]);
  answer(wire.sent[0].id);
  answer(wire.sent[0].id); // the server answers both sendings alike
  assert.deepEqual(await result, {});
  assert.deepEqual(links, ["connecting", "online", "lost", "online"]);
});

test("an answered command is not sent again", async () => {
  hello();
  const result = signal.command({ kind: "hold", consult_id: "c" });
  answer(wire.sent[0].id);
  await result;
  wire.emit("disconnect", "transport close");
  hello();
  assert.equal(wire.sent.length, 1);
});

test("a refused command says why", async () => {
  hello();
  const result = signal.command({ kind: "take", consult_id: "c" });
  const error = { code: "already_taken", message: "by Li" };
  const refused = { kind: "answer", command_id: wire.sent[0].id, ok: false, result: {}, error };
  wire.emit("message", refused);
  await assert.rejects(result, (reason) => {
    assert.ok(reason instanceof CommandRefused);
    assert.equal(reason.code, "already_taken");
    assert.equal(reason.message, "by Li");
    return true;
  });
});

test("an abandoned command is not sent again", async () => {
  const abort = new AbortController();
  const result = signal.command({ kind: "offer", sdp: "x" }, abort.signal);
  abort.abort(new DOMException("replaced", "AbortError"));
  await assert.rejects(result, { name: "AbortError" });
  hello();
  assert.deepEqual(wire.sent, []);
});

test("a command of a connection that is already gone is never sent", async () => {
  hello();
  const gone = AbortSignal.abort(new DOMException("replaced", "AbortError"));
  await assert.rejects(signal.command({ kind: "offer", sdp: "x" }, gone), { name: "AbortError" });
  assert.deepEqual(wire.sent, []);
});

test("after moved the page does not retry, and its commands fail", async () => {
  hello();
  const result = signal.command({ kind: "hang_up" });
  wire.emit("message", { kind: "goodbye", code: "moved" });
  await assert.rejects(result, { code: "closed" });
  wire.emit("disconnect", "io client disconnect");
  mock.timers.tick(60_000);
  assert.equal(wire.connects, 1);
  assert.equal(wire.disconnects, 1);
});

test("after server_stopping the page comes back and keeps its commands", () => {
  hello();
  void signal.command({ kind: "hang_up" });
  wire.emit("message", { kind: "goodbye", code: "server_stopping" });
  wire.emit("disconnect", "io client disconnect");
  mock.timers.tick(1000);
  assert.equal(wire.connects, 2);
  hello();
  assert.equal(wire.sent.length, 2);
});

test("a refused link is final, a network error is not", () => {
  wire.emit("connect_error", new Error("websocket error"));
  mock.timers.tick(1000);
  assert.equal(wire.connects, 2);
  wire.emit("connect_error", Object.assign(new Error("x"), { data: { code: "link_invalid" } }));
  mock.timers.tick(60_000);
  assert.equal(wire.connects, 2);
  assert.equal(links.at(-1), "refused:link_invalid");
});

test("a refusal is found in the data and in the message", () => {
  assert.equal(refusal(new Error("{'code': 'link_invalid'}")), "link_invalid");
  assert.equal(refusal(new Error("timeout")), null);
  assert.equal(refusal("timeout"), null);
});

test("a network that comes back cuts the waiting short, once", () => {
  wire.emit("connect_error", new Error("websocket error"));
  signal.hurry();
  signal.hurry();
  mock.timers.tick(60_000);
  assert.equal(wire.connects, 2);
});

test("a connection that may be dead is replaced at once, and its commands are sent again", () => {
  hello();
  void signal.command({ kind: "offer" });
  wire.disconnect = () => void wire.emit("disconnect", "io client disconnect");
  signal.reconnect();
  assert.equal(wire.connects, 2);
  assert.deepEqual(links, ["connecting", "online", "lost"]);
  hello();
  assert.equal(wire.sent.length, 2);
  assert.equal(wire.sent[0].id, wire.sent[1].id);
});

test("a connection that is still being made is begun anew, once", () => {
  signal.reconnect();
  assert.equal(wire.connects, 2);
  mock.timers.tick(60_000);
  assert.equal(wire.connects, 2);
});
