/** Tones made on the spot: a call, an arrival, an end, a test. No files, no requests. */

/** @typedef {{hz: number, atS: number, lengthS: number}} Tone */

/** @type {Record<"ring" | "arrival" | "end" | "test", readonly Tone[]>} */
const TUNES = {
  ring: [
    { hz: 659, atS: 0, lengthS: 0.35 },
    { hz: 784, atS: 0.3, lengthS: 0.35 },
    { hz: 988, atS: 0.6, lengthS: 0.6 },
  ],
  arrival: [
    { hz: 784, atS: 0, lengthS: 0.2 },
    { hz: 988, atS: 0.15, lengthS: 0.35 },
  ],
  end: [
    { hz: 659, atS: 0, lengthS: 0.2 },
    { hz: 494, atS: 0.18, lengthS: 0.4 },
  ],
  test: [
    { hz: 523, atS: 0, lengthS: 0.4 },
    { hz: 659, atS: 0.35, lengthS: 0.4 },
    { hz: 784, atS: 0.7, lengthS: 0.7 },
  ],
};
const RING_EVERY_MS = 2500;
const LOUDNESS = 0.18;

export class Sounds {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ringing;

  /** Browsers let a page sound only after a touch: call this in one. */
  unlock() {
    this.#context ??= new AudioContext();
    void this.#context.resume();
  }

  /** @param {keyof typeof TUNES} name */
  play(name) {
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") return; // not touched yet: a late sound would puzzle
    const begin = this.#context.currentTime + 0.02;
    for (const tone of TUNES[name]) this.#tone(this.#context, tone, begin + tone.atS);
  }

  /** Ring until told otherwise.  @param {boolean} on */
  ring(on) {
    if (on === (this.#ringing !== undefined)) return;
    clearInterval(this.#ringing);
    this.#ringing = undefined;
    if (!on) return;
    this.play("ring");
    this.#ringing = setInterval(() => this.play("ring"), RING_EVERY_MS);
  }

  /** @param {AudioContext} context  @param {Tone} tone  @param {number} atS */
  #tone(context, tone, atS) {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.type = "sine";
    oscillator.frequency.value = tone.hz;
    gain.gain.setValueAtTime(0, atS);
    gain.gain.linearRampToValueAtTime(LOUDNESS, atS + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, atS + tone.lengthS);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(atS);
    oscillator.stop(atS + tone.lengthS + 0.05);
  }
}
