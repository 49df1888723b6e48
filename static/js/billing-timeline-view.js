/** A record's stretches of time, drawn: what was billed, and both sides' media. */

import { make } from "./dom.js";
import { duration } from "./billing-format.js";

/** @typedef {import("./billing-timeline.js").Timeline} Timeline */
/** @typedef {import("./billing-timeline.js").Span} Span */
/** @typedef {import("./i18n.js").Words} Words */
/**
 * @typedef {{
 *   name: string, classOf: (span: Span) => string, wordsOf: (span: Span) => string,
 *   moreOf: (span: Span) => string,
 * }} Lane  `moreOf`: what a long bar says beside its words; may be empty
 */

const SVG = "http://www.w3.org/2000/svg";
const LANE_PX = 48;
const BAR_PX = 20;
const LABEL_PX = 18;
// of the width: a bar from here on has room for its words, and for more
const WORDS_AT = 0.16;
const MORE_AT = 0.36;

/**
 * @param {Timeline} timeline  @param {readonly Lane[]} lanes  @param {string} title
 * @returns {SVGSVGElement} as wide as its place; the table beside it says the same in words
 */
export function draw(timeline, lanes, title) {
  const length_ms = timeline.to_ms - timeline.from_ms;
  const percent = (/** @type {number} */ ms) => `${((100 * ms) / length_ms).toFixed(3)}%`;
  const bottom = lanes.length * LANE_PX;
  const svg = element("svg", { class: "timeline", height: bottom + 30, role: "img" });
  svg.setAttribute("aria-label", title);
  svg.append(hatches());
  timeline.ticks_ms.forEach((at_ms) => {
    const x = percent(at_ms);
    svg.append(element("line", { class: "tick", x1: x, x2: x, y1: LABEL_PX, y2: bottom }));
    const near = at_ms / length_ms;
    const anchor = at_ms === 0 ? "start" : near > 0.95 ? "end" : "middle";
    const label = element("text", { class: "axis", x, y: bottom + 20, "text-anchor": anchor });
    label.textContent = duration(at_ms / 1000);
    svg.append(label);
  });
  lanes.forEach((lane, index) => {
    const y = index * LANE_PX;
    const name = element("text", { class: "lane", x: 0, y: y + LABEL_PX - 4 });
    name.textContent = lane.name;
    svg.append(name);
    for (const span of timeline.spans) svg.append(bar(span, lane, y + LABEL_PX + 2));
  });
  return /** @type {SVGSVGElement} */ (svg);

  /** @param {Span} span  @param {Lane} lane  @param {number} y */
  function bar(span, lane, y) {
    const x = percent(span.from_ms - timeline.from_ms);
    const part = (span.to_ms - span.from_ms) / length_ms;
    const group = element("g", {});
    const box = { x, y, width: percent(span.to_ms - span.from_ms), height: BAR_PX };
    const rect = element("rect", { class: `span ${lane.classOf(span)}`, ...box });
    const words = lane.wordsOf(span);
    const whole = [words, lane.moreOf(span)].filter((text) => text !== "").join(" · ");
    const tip = element("title", {});
    tip.textContent = `${whole} ${duration(span.duration_ms / 1000)}`;
    rect.append(tip);
    group.append(rect);
    if (part < WORDS_AT) return group;
    const middle = span.from_ms - timeline.from_ms + (span.to_ms - span.from_ms) / 2;
    const text = { x: percent(middle), y: y + 15, "text-anchor": "middle" };
    const label = element("text", { class: `span-label on-${lane.classOf(span)}`, ...text });
    label.textContent = part < MORE_AT ? words : whole;
    group.append(label);
    return group;
  }
}

/**
 * @param {readonly {name: string, text: string}[]} entries  class of a bar, what it means
 * @returns {HTMLLIElement[]}
 */
export function legend(entries) {
  return entries.map(({ name, text }) => {
    const swatch = element("svg", { class: "swatch", "aria-hidden": "true" });
    const box = { class: `span ${name}`, width: "100%", height: "100%" };
    swatch.append(element("rect", box));
    return make("li", {}, swatch, make("span", { text }));
  });
}

/** Hold and the unknown are told apart by their pattern, not by colour alone. */
function hatches() {
  const defs = element("defs", {});
  const pattern = (/** @type {string} */ id, /** @type {string} */ turn) => {
    const made = element("pattern", {
      id,
      width: 7,
      height: 7,
      patternUnits: "userSpaceOnUse",
      patternTransform: `rotate(${turn})`,
    });
    made.append(element("rect", { class: `${id}-ground`, width: 7, height: 7 }));
    made.append(element("rect", { class: `${id}-line`, width: 2.5, height: 7 }));
    return made;
  };
  defs.append(pattern("hatch-held", "45"), pattern("hatch-unknown", "-45"));
  return defs;
}

/** @param {string} name  @param {Record<string, string | number>} attributes */
function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
