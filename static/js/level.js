/** How loud a track is, ten times a second: the meter before the call, the rings within it. */

const EVERY_MS = 100;

/**
 * Follow the level of the local microphone.
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} show  0 silent to 1 loud
 * @param {AbortSignal} signal  ends it
 */
export function meterTrack(track, show, signal) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  // After a reload the page may not run audio before the first touch.
  const wake = () => void context.resume();
  addEventListener("pointerdown", wake, { signal });
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    show(track.enabled ? loudness(Math.sqrt(sum / samples.length)) : 0);
  }, EVERY_MS);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    void context.close();
    show(0);
  });
}

/**
 * @param {number} rms  root mean square of samples in -1..1
 * @returns {number} 0..1, linear in decibels from -60 dBFS to -6 dBFS
 */
export function loudness(rms) {
  if (rms <= 0) return 0;
  return Math.min(1, Math.max(0, (20 * Math.log10(rms) + 60) / 54));
}

/**
 * @param {RTCRtpReceiver | undefined} receiver
 * @returns {number} 0..1, what the other party's packets said last (RFC 6464)
 */
export function receiverLevel(receiver) {
  const source = receiver?.getSynchronizationSources()[0];
  return source?.audioLevel === undefined ? 0 : loudness(source.audioLevel);
}
