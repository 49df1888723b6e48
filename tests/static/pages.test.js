import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { browserOf, troubleOf } from "../../static/js/devices.js";
import { loudness } from "../../static/js/level.js";
import { waitOf } from "../../static/js/queue-view.js";

const ROOT = new URL("../../static/", import.meta.url);
const read = (/** @type {string} */ name) => readFileSync(new URL(name, ROOT), "utf8");
const PAGES = ["join.html", "console.html", "billing.html", "docs.html"];

/** What outside scripts rely on. */
const CONTRACT = {
  "join.html": [
    "agree join waiting in-call remote-video elapsed cost hang-up summary accept-video",
    "decline-video to-voice pause-reason mute camera place error rejoin leave preview local-video",
    "recording-sign agree-recording refuse-recording stop-recording quality-self quality-other way",
    "line-trouble",
  ],
  "console.html": [
    "username password sign-in in-call remote-video finish finish-confirm hold resume to-voice",
    "to-video pause-reason mute camera error preview put-back take-next local-video elapsed cost",
    "recording-sign record stop-recording quality-self quality-other line-trouble",
  ],
  "billing.html": ["username password sign-in records found statements statement"],
};

test("the names that outside scripts rely on are there, once each", () => {
  for (const [page, lines] of Object.entries(CONTRACT)) {
    const html = read(page);
    for (const id of lines.join(" ").split(" "))
      assert.equal(html.split(`data-testid="${id}"`).length - 1, 1, `${page} ${id}`);
  }
  const queue = read("js/queue-view.js");
  for (const id of ["queue-item", "take"]) assert.ok(queue.includes(`testid: "${id}"`), id);
  assert.match(read("join.html"), /<input type="checkbox"[^>]*data-testid="agree"/);
});

test("nothing in a page needs what the Content-Security-Policy forbids", () => {
  for (const page of PAGES) {
    const html = read(page);
    assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)/, "inline script");
    assert.doesNotMatch(html, /<style|\sstyle=/, "inline style");
    assert.doesNotMatch(html, /\son[a-z]+=/, "inline handler");
    assert.doesNotMatch(html, /(?:href|src)="(?:https?:)?\/\//, "third party");
  }
});

test("everything a page links to exists", () => {
  const symbols = read("icons.svg");
  for (const page of PAGES)
    for (const link of read(page).matchAll(/(?:href|src)="\/static\/([^"#]+)#?([^"]*)"/g)) {
      const [, path, fragment] = link;
      if (!path?.startsWith("vendor/")) assert.ok(existsSync(new URL(path ?? "", ROOT)), path);
      if (fragment) assert.ok(symbols.includes(`id="${fragment}"`), fragment);
    }
});

/** @param {string} script  @param {string} page */
function belongs(script, page) {
  for (const own of ["billing", "docs"]) {
    if (page === `${own}.html`) return script.startsWith(own);
    if (script.startsWith(own)) return false;
  }
  return !(page === "join.html" ? /^console/ : /^(join|patient|way)/).test(script);
}

test("every reference that a script takes exists in the page that loads it", () => {
  const scripts = readdirSync(new URL("js/", ROOT)).filter((name) => name.endsWith(".js"));
  for (const page of PAGES) {
    const own = scripts.filter((name) => belongs(name, page) && name !== "queue-view.js");
    for (const script of own)
      for (const [, name] of read(`js/${script}`).matchAll(/\bref\("([a-z-]+)"\)/g))
        assert.ok(read(page).includes(`data-ref="${name}"`), `${script} ${page} ${name}`);
  }
});

test("every section but the first is hidden until its time", () => {
  for (const page of PAGES)
    for (const [section] of read(page).matchAll(/<section [^>]*data-phase="(?!loading)[^>]*>/g))
      assert.match(section, /\shidden/, section);
});

test("every button has words, and every field a label", () => {
  for (const page of PAGES) {
    for (const [button] of read(page).matchAll(/<button[^]*?<\/button>/g))
      assert.match(button, /data-i18n|data-ref="take-back"/, button);
    assert.doesNotMatch(read(page), /placeholder=/);
  }
});

test("text goes into pages as text", () => {
  const markup = /innerHTML|outerHTML|insertAdjacentHTML|document\.write/;
  for (const script of readdirSync(new URL("js/", ROOT)).filter((name) => name.endsWith(".js")))
    assert.doesNotMatch(read(`js/${script}`), markup);
});

test("what getUserMedia refuses is told apart", () => {
  const named = (/** @type {string} */ name) => new DOMException("x", name);
  assert.equal(troubleOf(named("NotAllowedError")), "denied");
  assert.equal(troubleOf(named("NotFoundError")), "missing");
  assert.equal(troubleOf(named("OverconstrainedError")), "missing");
  assert.equal(troubleOf(named("NotReadableError")), "busy");
  assert.equal(troubleOf(new TypeError("x")), "unknown");
  assert.equal(troubleOf("x"), "unknown");
});

test("help names the browser in use", () => {
  const safari = "Version/18.0 Safari/605.1.15";
  assert.equal(browserOf(`Mozilla/5.0 (Macintosh) AppleWebKit/605 ${safari}`), "safari");
  assert.equal(browserOf(`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) ${safari}`), "ios");
  assert.equal(browserOf("Mozilla/5.0 Chrome/140.0 Safari/537.36"), "chrome");
  assert.equal(browserOf("Mozilla/5.0 Chrome/140.0 Safari/537.36 Edg/140.0"), "chrome");
  assert.equal(browserOf("Mozilla/5.0 Gecko/20100101 Firefox/140.0"), "firefox");
  assert.equal(browserOf("Mozilla/5.0 (iPhone) MicroMessenger/8.0"), "wechat");
  assert.equal(browserOf("curl"), "other");
});

test("a level is linear in decibels between silence and loud", () => {
  assert.equal(loudness(0), 0);
  assert.equal(loudness(1), 1);
  assert.equal(loudness(0.0001), 0);
  assert.ok(Math.abs(loudness(10 ** (-33 / 20)) - 0.5) < 1e-9);
});

test("long waits are graded, and a clock that is behind shows no negative wait", () => {
  const now = Date.parse("2026-01-01T09:00:00Z");
  assert.deepEqual(waitOf("2026-01-01T08:51:00Z", now), { minutes: 9, grade: "short" });
  assert.deepEqual(waitOf("2026-01-01T08:50:00Z", now), { minutes: 10, grade: "long" });
  assert.deepEqual(waitOf("2026-01-01T08:40:00Z", now), { minutes: 20, grade: "very-long" });
  assert.deepEqual(waitOf("2026-01-01T09:00:30Z", now), { minutes: 0, grade: "short" });
});
