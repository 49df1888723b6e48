/**
 * The media connection: this page always offers (RFC 8829), the server answers as ICE-lite.
 *
 * A pair of transceivers, audio and video, both sendrecv, for the whole call: a mode or a device
 * changes by `replaceTrack`, without negotiation. For more participants pairs that only receive are
 * added, and a line for a shared screen, by a new offer on the same connection. A broken path is
 * mended by an ICE restart (RFC 8445, section 9), and by a new connection when that does not help
 * (`mending.js`).
 */

import { nextWatch, startWatch } from "./mending.js";
import { newId } from "./signal.js";

/** @typedef {"audio" | "video"} Kind */
/** @typedef {import("./protocol").IceServer} IceServer */
/** @typedef {{expected: boolean, unheard: boolean}} Hints  what the server says of the media */
/** @typedef {"idle" | "connecting" | "connected" | "broken"} PeerState */

/**
 * @typedef {object} PeerPorts
 * @property {(offer: Offer, abort: AbortSignal) => Promise<string>} send
 *     an offer to the server; resolves to its answer
 * @property {(state: PeerState) => void} changed
 * @property {() => void} stuck  an offer is not answered: perhaps the server is not reached
 * @property {() => void} screenTaken  somebody else shares a screen: ours is not sent
 */

/** @typedef {{connection_id: string, sdp: string, screen_mid: string | null}} Offer */

const DISCONNECTED_GRACE_MS = 1000;
const CONNECT_WITHIN_MS = 5000;
const STUCK_AFTER_MS = 1500;
const LOOK_EVERY_MS = 250;
const FIRST_RENEWAL_MS = 500;
const LONGEST_RENEWAL_MS = 10_000;
const VIDEO_MAX_BPS = 1_500_000;
const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 8 };

/** One RTCPeerConnection with what belongs to it. */
class Connection {
  id = newId();
  abort = new AbortController();
  answered = false;
  negotiating = false;
  again = false;
  /** Media could pass at some time. */
  wasUp = false;
  /** The prepared offer is there, with all that was added so far. */
  described = false;
  pairs = 1;
  /** @type {RTCRtpTransceiver | null} */
  screen = null;

  /**
   * @param {MediaStream} stream  names the tracks' stream in the offer
   * @param {number} pairs
   * @param {RTCConfiguration} configuration
   */
  constructor(stream, pairs, configuration) {
    this.pc = new RTCPeerConnection(configuration);
    this.audio = this.pc.addTransceiver("audio", { direction: "sendrecv", streams: [stream] });
    this.video = this.pc.addTransceiver("video", {
      direction: "sendrecv",
      streams: [stream],
      sendEncodings: [{ maxBitrate: VIDEO_MAX_BPS }],
    });
    this.grow(pairs);
    this.offer = this.describe();
  }

  /** Make the offer now, so that it can be sent the moment it is wanted.
   *  @returns {Promise<void>} what is kept as `offer` */
  describe() {
    this.described = false;
    const offer = this.pc.setLocalDescription();
    this.offer = offer;
    offer.then(
      () => (this.described = this.offer === offer),
      () => {}, // reported where it is awaited
    );
    return offer;
  }

  /** Receive from so many; lines never go away.  @param {number} pairs
   *  @returns {boolean} whether there are more than before */
  grow(pairs) {
    const more = this.pairs < pairs;
    for (; this.pairs < pairs; this.pairs += 1)
      for (const kind of ["audio", "video"])
        this.pc.addTransceiver(kind, { direction: "recvonly" });
    return more;
  }

  /** @param {MediaStreamTrack | null} track */
  share(track) {
    if (!this.screen && track)
      this.screen = this.pc.addTransceiver(track, {
        direction: "sendonly",
        sendEncodings: [SCREEN],
      });
    else if (this.screen) {
      this.screen.direction = track ? "sendonly" : "inactive";
      this.screen.sender.replaceTrack(track).catch(() => {});
    }
  }

  close() {
    this.abort.abort(new DOMException("connection closed", "AbortError"));
    this.pc.close();
  }
}

export class Peer {
  /** What the other party sends; the same stream for the life of the page. */
  remote = new MediaStream();
  /** @type {PeerState} */
  state = "idle";
  #ports;
  #local = new MediaStream();
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  /** @type {Connection | null} */
  #connection = null;
  #pairs = 1;
  /** @type {MediaStreamTrack | null} */
  #screen = null;
  #wanted = false;
  #renewals = 0;
  /** @type {readonly IceServer[]} */
  #iceServers = [];
  /** @type {RTCIceTransportPolicy} */
  #policy = "all";
  /** @type {Hints} */
  #hints = { expected: false, unheard: false };
  #health = startWatch(0);
  #looking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looks;

  /** @param {PeerPorts} ports */
  constructor(ports) {
    this.#ports = ports;
  }

  /** @returns {RTCPeerConnection | null} */
  get pc() {
    return this.#connection?.pc ?? null;
  }

  /**
   * Send this track from now on, on this connection and those that replace it.
   * @param {Kind} kind  @param {MediaStreamTrack | null} track  null: send nothing of this kind
   */
  setTrack(kind, track) {
    if (this.#tracks[kind] === track) return;
    this.#tracks[kind] = track;
    // Fails only when the connection was closed meanwhile; the next one takes the track up.
    this.#connection?.[kind].sender.replaceTrack(track).catch(() => {});
  }

  /**
   * Use these servers from the next gathering of candidates on.
   * @param {readonly IceServer[]} servers
   */
  setIceServers(servers) {
    if (servers === this.#iceServers) return;
    this.#iceServers = servers;
    const connection = this.#connection;
    if (this.#wanted) connection?.pc.setConfiguration(this.#configuration());
    else if (connection) {
      connection.close(); // it was prepared only, and has gathered without them
      this.#connection = null;
      this.prepare();
    }
  }

  /** @returns {RTCConfiguration} */
  #configuration() {
    return {
      bundlePolicy: "max-bundle",
      iceServers: rtcIceServers(this.#iceServers),
      iceTransportPolicy: this.#policy,
    };
  }

  /** What the server says of the media; by this a lost path is noticed.  @param {Hints} hints */
  hint(hints) {
    this.#hints = hints;
  }

  /** Have lines for so many remote participants, on this connection and those that replace it.
   *  @param {number} count */
  seat(count) {
    this.#pairs = Math.max(1, count);
    if (this.#connection?.grow(this.#pairs)) this.#offerAgain(this.#connection);
  }

  /** @param {MediaStreamTrack | null} track  null: share no screen */
  setScreen(track) {
    if (this.#screen === track) return;
    this.#screen = track;
    if (!this.#connection) return;
    this.#connection.share(track);
    this.#offerAgain(this.#connection);
  }

  /** @param {string | null} mid  @returns {RTCRtpReceiver | null} what comes in this m-line */
  receiver(mid) {
    if (mid === null) return null;
    const all = this.#connection?.pc.getTransceivers() ?? [];
    return all.find((transceiver) => transceiver.mid === mid)?.receiver ?? null;
  }

  /** @param {Connection} connection  which has other lines than before */
  #offerAgain(connection) {
    if (this.#wanted) void this.#negotiate(connection, true);
    else void connection.describe();
  }

  /** Make the connection and its offer, without a word to the server. */
  prepare() {
    if (this.#connection) return;
    const connection = new Connection(this.#local, this.#pairs, this.#configuration());
    if (this.#screen) {
      connection.share(this.#screen);
      void connection.describe();
    }
    this.#connection = connection;
    for (const kind of /** @type {const} */ (["audio", "video"]))
      connection[kind].sender.replaceTrack(this.#tracks[kind]).catch(() => {});
    for (const track of this.remote.getTracks()) this.remote.removeTrack(track);
    this.remote.addTrack(connection.audio.receiver.track);
    this.remote.addTrack(connection.video.receiver.track);
    connection.pc.addEventListener("iceconnectionstatechange", () => this.#watch(connection));
    connection.pc.addEventListener("connectionstatechange", () => this.#watch(connection));
  }

  /** Connect. Does nothing while already connecting or connected. */
  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.prepare();
    this.#enter("connecting");
    this.#health = { ...this.#health, received: 0 };
    this.#looks ??= setInterval(() => void this.#look(), LOOK_EVERY_MS);
    if (this.#connection) void this.#negotiate(this.#connection, false);
  }

  /** Close the connection; `prepare` and `start` make a new one. */
  stop() {
    this.#wanted = false;
    this.#renewals = 0;
    this.#policy = "all";
    this.#health = startWatch(0);
    clearTimeout(this.#timer);
    clearInterval(this.#looks);
    this.#looks = undefined;
    this.#connection?.close();
    this.#connection = null;
    this.#enter("idle");
  }

  /** The path changed, or seems broken: new ICE credentials on the same connection. */
  restartIce() {
    const connection = this.#connection;
    if (!this.#wanted || !connection?.answered) return;
    connection.pc.restartIce();
    void this.#negotiate(connection, true);
  }

  /** The server is reached again: mend what broke meanwhile. */
  resume() {
    if (this.state === "broken" && !this.#connection?.negotiating) this.restartIce();
  }

  /**
   * A new connection instead of this one: the last resort, and the server's wish.
   * @param {RTCIceTransportPolicy} [policy]  "relay": only through a TURN server
   */
  renew(policy = "all") {
    if (!this.#wanted) return;
    this.#policy = this.#iceServers.some(({ username }) => username !== null) ? policy : "all";
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
    this.start();
  }

  /**
   * One offer and its answer at a time; what is asked for meanwhile follows.
   * @param {Connection} connection  @param {boolean} fresh  the prepared offer is used up
   */
  async #negotiate(connection, fresh) {
    if (connection.negotiating) {
      connection.again = true;
      return;
    }
    connection.negotiating = true;
    try {
      if (fresh) await connection.pc.setLocalDescription();
      else while (!connection.described) await connection.offer;
      // The prepared offer goes out in this very turn, before the page is drawn again.
      const sdp = connection.pc.localDescription?.sdp ?? "";
      const screen_mid = this.#screen ? (connection.screen?.mid ?? null) : null;
      const offer = { connection_id: connection.id, sdp, screen_mid };
      const answer = await this.#sent(offer, connection.abort.signal);
      await connection.pc.setRemoteDescription({ type: "answer", sdp: answer });
      connection.answered = true;
      this.#expect(connection);
    } catch (error) {
      if (connection !== this.#connection) return;
      if (/** @type {{code?: string}} */ (error).code === "screen_taken") {
        this.setScreen(null); // and offer again without it
        this.#ports.screenTaken();
      } else {
        this.#refused(); // what the person is told follows from the state
        return;
      }
    } finally {
      connection.negotiating = false;
    }
    if (connection !== this.#connection) return;
    this.#ports.changed(this.state); // the roster may name lines that are there only now
    if (!connection.again || connection !== this.#connection) return;
    connection.again = false;
    void this.#negotiate(connection, true);
  }

  /** Send an offer. How long the server takes is told, not how long this page does: a page that is
   *  slow would else leave the server each time.
   *  @param {Offer} offer  @param {AbortSignal} abort  @returns {Promise<string>} the answer */
  async #sent(offer, abort) {
    const stuck = setTimeout(() => this.#ports.stuck(), STUCK_AFTER_MS);
    try {
      return await this.#ports.send(offer, abort);
    } finally {
      clearTimeout(stuck);
    }
  }

  #refused() {
    this.#enter("broken");
    this.#renewLater();
  }

  /** The answer is in: connected within a bounded time, or else a new connection.
   *  @param {Connection} connection */
  #expect(connection) {
    clearTimeout(this.#timer);
    if (isUp(connection.pc)) return;
    this.#timer = setTimeout(() => {
      if (connection !== this.#connection || isUp(connection.pc)) return;
      this.#enter("broken");
      this.renew();
    }, CONNECT_WITHIN_MS);
  }

  /** Look whether media arrives that should, and mend the connection where it does not. */
  async #look() {
    const connection = this.#connection;
    if (!connection?.answered || this.#looking) return;
    this.#looking = true;
    const received = await packetsReceived(connection.pc);
    this.#looking = false;
    if (connection !== this.#connection) return;
    const { expected, unheard } = this.#hints;
    const { watch, trouble, remedy } = nextWatch(this.#health, {
      received,
      expected,
      unheard: unheard && this.#tracks.audio !== null,
      pending: connection.negotiating,
      connecting: !connection.wasUp,
      nowMs: performance.now(),
    });
    this.#health = watch;
    if (trouble) this.#enter("broken");
    else if (isUp(connection.pc)) this.#enter("connected");
    if (remedy === "restart") this.restartIce();
    else if (remedy === "renew") this.renew();
    else if (remedy === "relay") this.renew("relay");
  }

  #renewLater() {
    clearTimeout(this.#timer);
    const delayMs = Math.min(LONGEST_RENEWAL_MS, FIRST_RENEWAL_MS * 2 ** this.#renewals);
    this.#renewals += 1;
    this.#timer = setTimeout(() => this.renew(), delayMs * (0.5 + Math.random() / 2));
  }

  /** @param {Connection} connection  whose state changed */
  #watch(connection) {
    if (connection !== this.#connection) return;
    const { iceConnectionState: ice, connectionState } = connection.pc;
    if (isUp(connection.pc)) {
      connection.wasUp = true;
      clearTimeout(this.#timer);
      this.#renewals = 0;
      this.#enter("connected");
    } else if (connectionState === "failed" && ice !== "failed" && ice !== "disconnected") {
      this.#enter("broken"); // DTLS failed: new ICE credentials would not mend it
      this.#renewLater();
    } else if (ice === "failed") {
      this.#enter("broken");
      this.restartIce();
    } else if (ice === "disconnected") {
      this.#enter("broken");
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        if (connection === this.#connection && !isUp(connection.pc)) this.restartIce();
      }, DISCONNECTED_GRACE_MS);
    }
  }

  /** @param {PeerState} state */
  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.#ports.changed(state);
  }
}

/** @param {readonly IceServer[]} servers  @returns {RTCIceServer[]} */
export function rtcIceServers(servers) {
  return servers.map(({ urls, username, credential }) =>
    username === null || credential === null ? { urls } : { urls, username, credential },
  );
}

/** @param {RTCPeerConnection} pc  @returns {Promise<number>} of RTP, since it was made */
async function packetsReceived(pc) {
  let packets = 0;
  for (const report of (await pc.getStats()).values())
    if (report.type === "inbound-rtp") packets += report.packetsReceived ?? 0;
  return packets;
}

/** @param {RTCPeerConnection} pc  @returns {boolean} media can pass */
function isUp(pc) {
  const ice = pc.iceConnectionState;
  return pc.connectionState === "connected" && (ice === "connected" || ice === "completed");
}

/**
 * Tell when the network changed under the page: it came back, or became another (Wi-Fi to mobile).
 * @param {() => void} changed  @param {AbortSignal} signal
 */
export function onNetworkChange(changed, signal) {
  addEventListener("online", changed, { signal });
  /** @type {(EventTarget & {type?: string}) | undefined} */
  const connection = /** @type {any} */ (navigator).connection;
  let type = connection?.type;
  // The event also comes for each new estimate of the rate, which is no reason for a restart.
  connection?.addEventListener(
    "change",
    () => {
      if (connection.type === type) return;
      type = connection.type;
      if (navigator.onLine) changed();
    },
    { signal },
  );
}
