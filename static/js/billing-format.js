/** Times in the clinic's zone, and durations, as accountants read them. */

/** Dates and times of one language in one time zone. */
export class ClinicTimes {
  /** @param {string} language  @param {string} timeZone  IANA */
  constructor(language, timeZone) {
    this.timeZone = timeZone;
    /** @param {Intl.DateTimeFormatOptions} options */
    const format = (options) => new Intl.DateTimeFormat(language, { timeZone, ...options });
    this.days = format({ dateStyle: "full" });
    this.times = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.seconds = format({
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    });
    this.both = format({ dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
    this.months = new Intl.DateTimeFormat(language, {
      year: "numeric",
      month: "long",
      timeZone: "UTC",
    });
  }

  /** @param {string} at  RFC 3339  @returns {string} as in 2026-03-14, whatever the language */
  dayKey(at) {
    return dayIn(this.timeZone, new Date(at));
  }

  /** @param {string} at  @returns {string} the day in words */
  day(at) {
    return this.days.format(new Date(at));
  }

  /** @param {string} at  @returns {string} hours and minutes */
  time(at) {
    return this.times.format(new Date(at));
  }

  /** @param {number} atMs  @returns {string} with seconds */
  second(atMs) {
    return this.seconds.format(atMs);
  }

  /** @param {string} at  @returns {string} day and time with seconds */
  full(at) {
    return this.both.format(new Date(at));
  }

  /** @param {string} month  as in 2026-03  @returns {string} in words */
  month(month) {
    return this.months.format(new Date(`${month}-15T00:00:00Z`));
  }
}

/** @param {string} timeZone  @param {Date} at  @returns {string} as in 2026-03-14 */
export function dayIn(timeZone, at) {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).formatToParts(at);
  const part = (/** @type {string} */ type) => parts.find((p) => p.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
}

/** @param {number} seconds  may be negative  @returns {string} as in 7:05 or -1:02:05 */
export function duration(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${seconds < 0 ? "-" : ""}${h > 0 ? `${h}:${two(m)}` : m}:${two(s)}`;
}

/**
 * An amount as somebody types it, in minor units.
 * @param {string} text  as in 77.70 or 77,70  @param {number} digits  of the currency
 * @returns {number | null} null: no amount of this currency, or negative
 */
export function minorUnits(text, digits) {
  const match = /^(\d{1,10})(?:[.,](\d{1,4}))?$/.exec(text.trim());
  if (!match) return null;
  const decimals = match[2] ?? "";
  return decimals.length > digits ? null : Number(`${match[1]}${decimals.padEnd(digits, "0")}`);
}
