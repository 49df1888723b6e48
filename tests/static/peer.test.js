import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Peer } from "../../static/js/peer.js";

/** A browser's connection as far as `Peer` needs it: lines, descriptions, states. */
class Browser extends EventTarget {
  iceConnectionState = "new";
  connectionState = "new";
  /** @type {{type: string, sdp: string} | null} */
  localDescription = null;
  restarts = 0;
  received = 0;
  /** @type {any[]} */
  lines = [];

  constructor() {
    super();
    browsers.push(this);
  }

  /** @param {any} _kind  @param {{direction?: string}} [init] */
  addTransceiver(_kind, init = {}) {
    const line = { mid: null, receiver: { track: {} }, sender: { replaceTrack: async () => {} }, ...init };
    this.lines.push(line);
    return line;
  }
  getTransceivers() {
    return this.lines;
  }
  async setLocalDescription() {
    const offered = this.lines.slice();
    await slowly.describe;
    for (const [index, line] of offered.entries()) line.mid = String(index);
    this.localDescription = { type: "offer", sdp: offered.map(({ mid }) => `m=${mid}`).join(" ") };
  }
  async setRemoteDescription() {}
  setConfiguration() {}
  restartIce() {
    this.restarts += 1;
  }
  async getStats() {
    return new Map([["in", { type: "inbound-rtp", packetsReceived: this.received }]]);
  }
  close() {}
  up() {
    this.iceConnectionState = this.connectionState = "connected";
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}

class Stream {
  getTracks() {
    return [];
  }
  addTrack() {}
  removeTrack() {}
}

/** @type {Browser[]} */
let browsers;
/** What the browser takes its time for. @type {{describe: Promise<void> | undefined}} */
let slowly;
/** Offers that the server got, and how it answers the next. @type {{sdp: string, answer: () => void}[]} */
let offers;
/** @type {string[]} */
let told;
/** @type {Peer} */
let peer;
let nowMs = 0;

beforeEach(() => {
  Object.assign(globalThis, { RTCPeerConnection: Browser, MediaStream: Stream });
  [browsers, offers, told, slowly] = [[], [], [], { describe: undefined }];
  nowMs = 60_000; // the page has been open for a while
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  mock.method(performance, "now", () => nowMs);
  peer = new Peer({
    send: ({ sdp }) => new Promise((resolve) => offers.push({ sdp, answer: () => resolve("answer") })),
    changed: (state) => told.push(state),
    stuck: () => told.push("stuck"),
    screenTaken: () => told.push("screen taken"),
  });
});

afterEach(() => {
  peer.stop();
  mock.timers.reset();
  mock.restoreAll();
});

/** Whatever is due now happens. */
const settled = async () => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

/** @param {number} ms */
async function pass(ms) {
  for (let passed = 0; passed < ms; passed += 50) {
    nowMs += 50;
    mock.timers.tick(50);
    await settled();
  }
}

/** @returns {number[]} how many lines each offer had */
const lines = () => offers.map(({ sdp }) => sdp.split(" ").length);

async function answered() {
  offers.at(-1)?.answer();
  await settled();
}

test("who knows before the call how many come offers lines for all of them, once", async () => {
  peer.prepare();
  await settled();
  peer.seat(5);
  await settled();
  peer.start();
  assert.deepEqual(lines(), [10], "in the very turn of the click");
  await answered();
  peer.seat(5);
  await pass(200);
  assert.deepEqual(lines(), [10]);
});

test("the offer waits for the lines that were added while it was made", async () => {
  let ready = () => {};
  slowly.describe = new Promise((resolve) => (ready = resolve));
  peer.prepare();
  peer.seat(3);
  peer.start();
  await settled();
  assert.deepEqual(lines(), []);
  ready();
  await settled();
  assert.deepEqual(lines(), [6]);
});

test("who comes while an offer is under way is in the next one", async () => {
  peer.start();
  await settled();
  peer.seat(2);
  peer.seat(4);
  await settled();
  assert.deepEqual(lines(), [2]);
  await answered();
  assert.deepEqual(lines(), [2, 8]);
  await answered();
  assert.deepEqual(lines(), [2, 8]);
});

test("a connection that is being set up is not mended, though nothing comes through it yet", async () => {
  peer.hint({ expected: true, unheard: true });
  peer.start();
  await settled();
  await answered();
  await pass(3000);
  assert.deepEqual([lines(), browsers.length, browsers[0]?.restarts], [[2], 1, 0]);
  browsers[0]?.up();
  await pass(500);
  assert.equal(peer.state, "connected");
});

test("a connection that was set up and carries nothing is mended", async () => {
  peer.hint({ expected: true, unheard: false });
  peer.start();
  await settled();
  await answered();
  browsers[0]?.up();
  await pass(1500);
  assert.equal(browsers[0]?.restarts, 1);
  assert.equal(peer.state, "broken");
});

test("one that is not up in time is replaced by a new one with all lines", async () => {
  peer.seat(3);
  peer.start();
  await settled();
  await answered();
  await pass(6000);
  assert.deepEqual([browsers.length, lines()], [2, [6, 6]]);
});

test("a slow page does not leave a server that answers", async () => {
  let ready = () => {};
  slowly.describe = new Promise((resolve) => (ready = resolve));
  peer.start();
  await pass(4000);
  ready();
  await settled();
  await pass(1000);
  assert.ok(!told.includes("stuck"));
  await pass(1000);
  assert.ok(told.includes("stuck"), "two seconds without an answer");
});

test("the page looks again where it gets whom once a new connection has its lines", async () => {
  peer.start();
  await settled();
  await answered();
  browsers[0]?.up();
  peer.renew();
  await settled();
  assert.equal(peer.receiver("1"), browsers[1]?.lines[1].receiver);
  const before = told.length;
  await answered();
  assert.equal(told.length, before + 1);
});
