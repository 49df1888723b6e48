/**
 * The independent clock's eye inside a page: what really arrives, whatever the page believes.
 *
 * Runs before the page's own scripts. It keeps every RTCPeerConnection that the page makes, reads
 * its counters every 50 ms and reports their sums for this load of the page to the test.
 */
(() => {
  if (window.top !== window) return;
  const EVERY_MS = 50;
  const connections = [];
  const counts = () => ({
    audioPackets: 0,
    audioEnergy: 0,
    audioSamples: 0,
    concealedSamples: 0,
    audioLost: 0,
    videoPackets: 0,
    frames: 0,
    freezes: 0,
    frozenS: 0,
    nacks: 0,
    videoLost: 0,
  });

  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      connections.push({ pc: this, counts: counts() });
    }
  };

  async function read(connection) {
    connection.isCall ||= connection.pc.getTransceivers().length > 1; // a test has audio alone
    if (connection.pc.connectionState === "closed") return;
    const stats = await connection.pc.getStats();
    for (const row of stats.values()) {
      // the first pair of m-lines is the other party's; guests come in others
      if (row.type === "inbound-rtp" && !["0", "1"].includes(row.mid)) continue;
      if (row.type === "inbound-rtp" && row.kind === "audio") {
        connection.counts.audioPackets = row.packetsReceived;
        connection.counts.audioEnergy = row.totalAudioEnergy ?? 0;
        connection.counts.audioSamples = row.totalSamplesReceived ?? 0;
        connection.counts.concealedSamples = row.concealedSamples ?? 0;
        connection.counts.audioLost = row.packetsLost ?? 0;
      } else if (row.type === "inbound-rtp" && row.kind === "video") {
        connection.counts.videoPackets = row.packetsReceived;
        connection.counts.frames = row.framesDecoded ?? 0;
        connection.counts.freezes = row.freezeCount ?? 0;
        connection.counts.frozenS = row.totalFreezesDuration ?? 0;
        connection.counts.nacks = row.nackCount ?? 0;
        connection.counts.videoLost = row.packetsLost ?? 0;
      } else if (row.type === "transport") {
        const pair = stats.get(row.selectedCandidatePairId);
        connection.protocol = stats.get(pair?.localCandidateId)?.protocol ?? "";
        connection.ufrag = row.iceLocalUsernameFragment ?? "";
      }
    }
  }

  /** The call's connection: connection tests of the check page come and go beside it. */
  function current() {
    const calls = connections.filter(({ isCall }) => isCall);
    return calls.findLast(({ pc }) => pc.connectionState === "connected") ?? calls.at(-1);
  }

  async function sample() {
    await Promise.all(connections.map((connection) => read(connection).catch(() => {})));
    const sum = (name) => connections.reduce((total, { counts }) => total + counts[name], 0);
    const last = current();
    const report = {
      load: performance.timeOrigin,
      atMs: performance.timeOrigin + performance.now(),
      connections: connections.filter(({ isCall }) => isCall).length,
      protocol: last?.protocol ?? "",
      ufrag: last?.ufrag ?? "",
      audioPackets: sum("audioPackets"),
      audioEnergy: sum("audioEnergy"),
      audioSamples: sum("audioSamples"),
      concealedSamples: sum("concealedSamples"),
      videoPackets: sum("videoPackets"),
      frames: sum("frames"),
      freezes: sum("freezes"),
      frozenS: sum("frozenS"),
      packetsLost: sum("audioLost") + sum("videoLost"),
      nacks: sum("nacks"),
    };
    window.bystanderReport(report).catch(() => {});
  }

  async function watch() {
    const next = performance.now() + EVERY_MS;
    if (connections.length > 0) await sample();
    setTimeout(watch, Math.max(0, next - performance.now()));
  }

  /** @type {Map<RTCRtpSender, MediaStreamTrack | null>} */
  const silenced = new Map();

  window.bystander = {
    /** How large audio packets are on average, those sent and those received. Statistics name
     *  the codec inside of redundant audio, so that its size alone shows it. */
    async bytesPerAudioPacket() {
      const stats = await current().pc.getStats();
      const rows = [...stats.values()].filter((row) => row.kind === "audio");
      const sent = rows.find((row) => row.type === "outbound-rtp");
      const received = rows.find((row) => row.type === "inbound-rtp");
      return [sent.bytesSent / sent.packetsSent, received.bytesReceived / received.packetsReceived];
    },
    /** Stop sending anything, as a page does whose microphone and camera died. */
    async silence() {
      for (const { pc } of connections)
        for (const sender of pc.connectionState === "closed" ? [] : pc.getSenders()) {
          silenced.set(sender, sender.track);
          await sender.replaceTrack(null);
        }
    },
    async speak() {
      for (const [sender, track] of silenced) await sender.replaceTrack(track);
      silenced.clear();
    },
  };
  void watch();
})();
