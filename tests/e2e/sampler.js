/**
 * What a person would see in a room, looked at four times a second: which tiles there are, whether
 * their pictures move, and whether they are black. Runs in the page; `window.sampler` has it all.
 */
(() => {
  if (window.top !== window || window.sampler) return;
  const EVERY_MS = 250;
  const SETTLE_MS = 1500; // a tile that has just appeared is measured as a join, not as a freeze
  const BLACK_EVERY = 4; // looks: to read pixels costs more than all else
  const FRESH = { frames: -1, left: false, black: false };
  const MOST_SPELLS = 10;
  const BLACK = 12; // of 255: the made-up camera has no dark picture
  const canvas = new OffscreenCanvas(16, 9);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const LEFT_MS = 5000; // somebody is left with it: longer than any comprehensible hiccup
  /** @type {Map<string, {frames: number, movedMs: number, sinceMs: number, litMs: number,
   *    left: boolean, black: boolean}>} */
  const tiles = new Map();
  /** Names of those whose page was closed without a word: of them nothing can move. */
  const gone = new Set();
  const result = {
    samples: 0,
    tileSamples: 0,
    longestFreezeMs: 0,
    frozen: 0,
    black: 0,
    left: 0,
    worst: "",
    spells: [],
  };

  const videos = () =>
    [...document.querySelectorAll("[data-ref='gallery'] .tile")].flatMap((tile) => {
      const video = tile.querySelector("video");
      const main = tile.classList.contains("main");
      const shown = document.body.dataset.now === "in-call" && video.checkVisibility();
      const caption = tile.querySelector("figcaption").textContent;
      const id = main ? "main" : tile.dataset.participant;
      const isGone = [...gone].some((name) => caption.startsWith(name));
      return shown ? [{ id, video, tile, isGone }] : [];
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

  /** What the connection says of a tile that somebody is left with: did pictures come at all? */
  async function explain(id, video) {
    const track = video.srcObject?.getVideoTracks()[0];
    const found = { id, track: track?.readyState ?? null, paused: video.paused };
    result.spells.push(found);
    for (const row of (await window.wenzhen.connection()?.getStats())?.values() ?? [])
      if (row.type === "inbound-rtp" && row.trackIdentifier === track?.id)
        Object.assign(found, {
          packets: row.packetsReceived,
          received: row.framesReceived,
          decoded: row.framesDecoded,
          dropped: row.framesDropped,
          shown: framesOf(video),
          plis: row.pliCount,
          bytes: row.bytesReceived,
        });
  }

  function look() {
    const nowMs = performance.now();
    const present = videos();
    const here = present.filter(({ isGone }) => !isGone);
    const ids = new Set(here.map(({ id }) => id));
    for (const id of tiles.keys()) if (!ids.has(id)) tiles.delete(id);
    const paused = document.querySelector("[data-ref='pause']")?.checkVisibility() ?? false;
    for (const { id, video } of here) {
      const frames = framesOf(video);
      const settledMs = nowMs + SETTLE_MS;
      const known = tiles.get(id) ?? { ...FRESH, sinceMs: nowMs, litMs: settledMs };
      if (frames !== known.frames || paused) [known.frames, known.movedMs] = [frames, nowMs];
      tiles.set(id, known);
      if (paused || nowMs - known.sinceMs < SETTLE_MS) continue;
      result.tileSamples += 1;
      const still = nowMs - Math.max(known.movedMs, known.sinceMs + SETTLE_MS);
      if (still > result.longestFreezeMs) [result.longestFreezeMs, result.worst] = [still, id];
      if (still > 2000) result.frozen += 1;
      if (result.samples % BLACK_EVERY === 0) known.black = isBlack(video);
      if (known.black) result.black += 1;
      else known.litMs = nowMs;
      const left = Math.max(still, nowMs - known.litMs) > LEFT_MS;
      if (left && !known.left) {
        result.left += 1;
        if (result.spells.length < MOST_SPELLS) void explain(id, video);
      }
      known.left = left;
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
    /** Milliseconds until the tile of somebody whose page was closed is gone, or marked. */
    async gone(name, withinMs) {
      gone.add(name);
      const startMs = performance.now();
      const looksAlive = ({ tile, isGone }) =>
        isGone && !tile.querySelector(".tile-cover")?.checkVisibility();
      while (videos().some(looksAlive)) {
        if (performance.now() - startMs > withinMs) return null;
        await new Promise((done) => setTimeout(done, 50));
      }
      return performance.now() - startMs;
    },
    back: (name) => void gone.delete(name),
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
