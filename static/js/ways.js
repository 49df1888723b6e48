/**
 * The connection test before a call: which ways lead to the clinic. Throw-away connections, one for
 * each way, offered to the server as probes; nothing is sent over them and nobody waits for them.
 */

import { rtcIceServers } from "./peer.js";

/** @typedef {import("./protocol").IceServer} IceServer */
/** @typedef {"udp" | "tcp" | "relay"} Way */
/** @typedef {"open" | "closed" | "absent" | "unknown"} Outcome  absent: the clinic has no such way */
/** @typedef {Record<Way, Outcome>} Outcomes */
/** @typedef {"untested" | "testing" | "fast" | "slow" | "detour" | "none"} Verdict */
/** @typedef {(sdp: string, abort: AbortSignal) => Promise<string>} Ask  an offer to its answer */

const WAYS = /** @type {const} */ (["udp", "tcp", "relay"]);
/** From the server's answer on, all ways at once; what is not open by then is closed. */
const CONNECT_WITHIN_MS = 2500;
/** In all, where the server or this device is slow. */
const TEST_WITHIN_MS = 5000;

/**
 * @param {Outcomes} outcomes
 * @returns {Verdict} what a person should know
 */
export function verdictOf({ udp, tcp, relay }) {
  for (const [outcome, verdict] of /** @type {const} */ ([
    [udp, "fast"],
    [tcp, "slow"],
    [relay, "detour"],
  ])) {
    if (outcome === "open") return verdict;
    if (outcome === "unknown") return "untested"; // perhaps better than what is known to be open
  }
  return "none";
}

/**
 * @param {string} sdp  an answer
 * @param {Way} way
 * @returns {string} the same with the candidates of this way alone; a relay is reached by its own
 */
export function onlyBy(sdp, way) {
  const wanted = way === "tcp" ? "tcp" : "udp";
  return sdp
    .split("\r\n")
    .filter((line) => !line.startsWith("a=candidate:") || transportOf(line) === wanted)
    .join("\r\n");
}

/** @param {string} line  `a=candidate:` (RFC 8839, section 5.1)  @returns {string} */
function transportOf(line) {
  return line.split(" ")[2]?.toLowerCase() ?? "";
}

/**
 * @param {Ask} ask
 * @param {readonly IceServer[]} servers
 * @param {AbortSignal} signal
 * @returns {Promise<Verdict>} "untested" when the server, or this device, was too busy to tell
 */
export async function testWays(ask, servers, signal) {
  const limit = new AbortController();
  const end = () => limit.abort(new DOMException("the test is over", "AbortError"));
  const timer = setTimeout(end, TEST_WITHIN_MS);
  signal.addEventListener("abort", end, { once: true });
  const results = await Promise.all(
    WAYS.map((way) => testWay(way, ask, servers, limit.signal).catch(() => "unknown")),
  );
  clearTimeout(timer);
  const [udp = "unknown", tcp = "unknown", relay = "unknown"] =
    /** @type {Outcome[]} */ (results);
  return verdictOf({ udp, tcp, relay });
}

/**
 * @param {Way} way  @param {Ask} ask  @param {readonly IceServer[]} servers
 * @param {AbortSignal} limit
 * @returns {Promise<Outcome>}
 * @throws the offer was refused, or not answered in time
 */
async function testWay(way, ask, servers, limit) {
  const relays = servers.filter(({ username }) => username !== null);
  if (way === "relay" && relays.length === 0) return "absent";
  const pc = new RTCPeerConnection({
    bundlePolicy: "max-bundle",
    iceServers: way === "relay" ? rtcIceServers(relays) : [],
    iceTransportPolicy: way === "relay" ? "relay" : "all",
  });
  try {
    pc.addTransceiver("audio", { direction: "recvonly" });
    await pc.setLocalDescription();
    const answer = onlyBy(await ask(pc.localDescription?.sdp ?? "", limit), way);
    if (!answer.includes("a=candidate:")) return "absent";
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
    return await connected(pc, limit);
  } finally {
    pc.close();
  }
}

/**
 * @param {RTCPeerConnection} pc  @param {AbortSignal} limit
 * @returns {Promise<Outcome>} whether ICE and DTLS go through
 */
function connected(pc, limit) {
  return new Promise((resolve) => {
    const look = () => {
      if (pc.connectionState === "connected") resolve("open");
      if (pc.connectionState === "failed") resolve("closed");
      if (limit.aborted) resolve("unknown");
    };
    pc.addEventListener("connectionstatechange", look, { signal: limit });
    limit.addEventListener("abort", look, { once: true });
    setTimeout(() => resolve("closed"), CONNECT_WITHIN_MS);
    look();
  });
}
