/**
 * What a person would see in a room, looked at four times a second: which tiles there are, whether
 * their pictures move, and whether they are black. Runs in the page; `window.sampler` has it all.
 */
(() => {
  if (window.top !== window || window.sampler) return;
  const EVERY_MS = 250;
  const SETTLE_MS = 1500; // a tile that has just appeared is measured as a join, not as a freeze
  const BLACK = 12; // of 255: the made-up camera has no dark picture
  const canvas = new OffscreenCanvas(16, 9);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  /** @type {Map<string, {frames: number, movedMs: number, sinceMs: number}>} */
  const tiles = new Map();
  const result = { samples: 0, tileSamples: 0, longestFreezeMs: 0, frozen: 0, black: 0, worst: "" };

  const videos = () =>
    [...document.querySelectorAll("[data-ref='gallery'] .tile")].flatMap((tile) => {
      const video = tile.querySelector("video");
      const main = tile.classList.contains("main");
      const shown = document.body.dataset.now === "in-call" && video.checkVisibility();
      return shown ? [{ id: main ? "main" : tile.dataset.participant, video }] : [];
    });

  const framesOf = (video) => video.getVideoPlaybackQuality().totalVideoFrames;

  function isBlack(video) {
    if (video.videoWidth === 0) return true;
    context.drawImage(video, 0, 0, 16, 9);
    const { data } = context.getImageData(0, 0, 16, 9);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    return sum / (data.length / 4) / 3 < BLACK;
  }

  function look() {
    const nowMs = performance.now();
    const present = videos();
    const ids = new Set(present.map(({ id }) => id));
    for (const id of tiles.keys()) if (!ids.has(id)) tiles.delete(id);
    const paused = document.querySelector("[data-ref='pause']")?.checkVisibility() ?? false;
    for (const { id, video } of present) {
      const frames = framesOf(video);
      const known = tiles.get(id) ?? { frames: -1, movedMs: nowMs, sinceMs: nowMs };
      if (frames !== known.frames || paused) [known.frames, known.movedMs] = [frames, nowMs];
      tiles.set(id, known);
      if (paused || nowMs - known.sinceMs < SETTLE_MS) continue;
      result.tileSamples += 1;
      const still = nowMs - Math.max(known.movedMs, known.sinceMs + SETTLE_MS);
      if (still > result.longestFreezeMs) [result.longestFreezeMs, result.worst] = [still, id];
      if (still > 2000) result.frozen += 1;
      if (isBlack(video)) result.black += 1;
    }
    result.samples += 1;
  }

  /** Sound of so many arrives. */
  async function heard(count) {
    let sources = 0;
    for (const row of (await window.wenzhen.connection()?.getStats())?.values() ?? [])
      if (row.type === "inbound-rtp" && row.kind === "audio" && row.packetsReceived > 0)
        sources += row.packetsReceived - (before.get(row.id) ?? 0) > 0 ? 1 : 0;
    return sources >= count;
  }
  let before = new Map();

  window.sampler = {
    result,
    start: () => void setInterval(look, EVERY_MS),
    /** Milliseconds until so many tiles show moving pictures and so many are heard. */
    async everybody(count, withinMs) {
      const startMs = performance.now();
      const first = new Map();
      before = new Map();
      for (;;) {
        const passedMs = performance.now() - startMs;
        if (passedMs > withinMs) return null;
        const moving = videos().filter(({ id, video }) => {
          const frames = framesOf(video);
          if (!first.has(id) || frames < first.get(id)) first.set(id, frames);
          return frames > 0 && video.videoWidth > 0 && (frames > first.get(id) || passedMs < 0);
        });
        if (moving.length >= count && (await heard(count))) return performance.now() - startMs;
        await new Promise((done) => setTimeout(done, 25));
      }
    },
  };
})();
