/** What tests may ask of a page: `window.wenzhen`. Nothing in the pages uses it. */

import { ref } from "./dom.js";

/**
 * @typedef {object} Measured  of what this page receives and sends, cumulative per connection
 * @property {number} framesDecoded
 * @property {number} framesSent
 * @property {number} audioLevel  0..1, of the last packets received
 * @property {number} totalAudioEnergy  received
 * @property {number} packetsLost
 * @property {number} bytesReceived
 * @property {number} bytesSent
 * @property {string | null} protocol  of the selected candidate pair: udp or tcp
 * @property {string | null} relay  how this page reaches its TURN server: udp, tcp or tls; null: none
 * @property {string} iceConnectionState
 * @property {string} connectionState
 */

/**
 * @param {RTCPeerConnection | null} pc
 * @returns {Promise<Measured>}
 */
export async function measure(pc) {
  /** @type {Measured} */
  const result = {
    framesDecoded: 0,
    framesSent: 0,
    audioLevel: 0,
    totalAudioEnergy: 0,
    packetsLost: 0,
    bytesReceived: 0,
    bytesSent: 0,
    protocol: null,
    relay: null,
    iceConnectionState: pc?.iceConnectionState ?? "none",
    connectionState: pc?.connectionState ?? "none",
  };
  const reports = [...((await pc?.getStats())?.values() ?? [])];
  const byId = new Map(reports.map((report) => [report.id, report]));
  for (const report of reports) {
    if (report.type === "inbound-rtp") {
      result.packetsLost += report.packetsLost ?? 0;
      result.bytesReceived += report.bytesReceived ?? 0;
      result.framesDecoded += report.framesDecoded ?? 0;
      result.audioLevel = report.audioLevel ?? result.audioLevel;
      result.totalAudioEnergy += report.totalAudioEnergy ?? 0;
    } else if (report.type === "outbound-rtp") {
      result.bytesSent += report.bytesSent ?? 0;
      result.framesSent += report.framesSent ?? 0;
    } else if (report.type === "transport") {
      const pair = byId.get(report.selectedCandidatePairId);
      const local = byId.get(pair?.localCandidateId);
      result.protocol = local?.protocol ?? null;
      result.relay = local?.relayProtocol ?? null;
    }
  }
  return result;
}

/** @param {import("./peer.js").Peer} peer */
export function exposeForTests(peer) {
  const wenzhen = {
    /**
     * `performance.now()` of the first remote frame on the screen, null before.
     * @type {number | null}
     */
    firstFrameMs: null,
    stats: () => measure(peer.pc),
    connection: () => peer.pc,
    restartIce: () => peer.restartIce(),
  };
  const video = /** @type {HTMLVideoElement} */ (ref("remote-video"));
  if ("requestVideoFrameCallback" in video)
    video.requestVideoFrameCallback(() => {
      wenzhen.firstFrameMs = performance.now();
    });
  Object.assign(window, { wenzhen });
}
