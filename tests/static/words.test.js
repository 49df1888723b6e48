import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { CATALOGUES, Words, chooseLanguage, minutesSeconds } from "../../static/js/i18n.js";

const ROOT = new URL("../../static/", import.meta.url);
const read = (/** @type {string} */ name) => readFileSync(new URL(name, ROOT), "utf8");
const SCRIPTS = readdirSync(new URL("js/", ROOT)).filter((name) => name.endsWith(".js"));
const KEYS = Object.keys(CATALOGUES.en);
const names = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test("every catalogue has the keys of the English one, with the same {names}", () => {
  for (const [language, catalogue] of Object.entries(CATALOGUES)) {
    assert.deepEqual(Object.keys(catalogue).sort(), [...KEYS].sort(), language);
    for (const [key, text] of Object.entries(catalogue)) {
      assert.notEqual(text.trim(), "", `${language} ${key}`);
      const english = CATALOGUES.en[/** @type {keyof typeof CATALOGUES.en} */ (key)];
      assert.deepEqual(names(text), names(english), `${language} ${key}`);
    }
  }
});

/** Exact keys and patterns of keys that scripts and pages ask for. */
function asked() {
  const exact = new Set();
  const patterns = [/^(seconds|minutes|ahead|waiting)_(one|other)$/];
  for (const html of ["join.html", "console.html", "billing.html"])
    for (const [, key] of read(html).matchAll(/data-i18n(?:-label)?="([^"]+)"/g)) exact.add(key);
  for (const script of SCRIPTS) {
    const text = read(`js/${script}`);
    for (const [, key] of text.matchAll(/"([a-z_]+(?:\.[a-z_]+)*)"/g))
      if (key !== undefined && KEYS.includes(key)) exact.add(key);
    for (const [, template] of text.matchAll(/`([a-z_]+\.[^`\s]*\$\{[^`\s]+)`/g)) {
      const pattern = template?.replace(/\$\{[^}]+\}/g, "*").replace(/[.]/g, "\\.") ?? "";
      patterns.push(new RegExp(`^${pattern.replaceAll("*", "[a-z_]+")}$`));
    }
  }
  return { exact, patterns };
}

test("every key that a page asks for exists", () => {
  for (const key of asked().exact) assert.ok(KEYS.includes(String(key)), String(key));
});

test("no text is left that nothing asks for", () => {
  const { exact, patterns } = asked();
  const unused = KEYS.filter((key) => !exact.has(key) && !patterns.some((p) => p.test(key)));
  assert.deepEqual(unused, []);
});

test("the browser's languages choose, in their order", () => {
  assert.equal(chooseLanguage(["zh-TW", "en"]), "zh-CN");
  assert.equal(chooseLanguage(["de-DE", "en-GB", "zh"]), "en");
  assert.equal(chooseLanguage(["de-DE"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("money, plurals and durations follow the language", () => {
  const en = new Words("en");
  const zh = new Words("zh-CN");
  assert.equal(en.money(12_303, "CNY"), "¥123.03");
  assert.equal(zh.money(5, "CNY"), "¥0.05");
  assert.equal(en.count("ahead", 1), "1 person is before you");
  assert.equal(en.count("ahead", 2), "2 people are before you");
  assert.equal(zh.count("ahead", 2), "您前面还有 2 位");
  assert.equal(en.duration(425), "7 min 5 s");
  assert.equal(zh.duration(59), "59 秒");
  assert.equal(en.percent(0.07), "7%");
  assert.equal(zh.percent(0.123456), "12.3456%");
  assert.equal(minutesSeconds(9), "00:09");
  assert.equal(minutesSeconds(3600), "60:00");
});

test("amounts have the decimals of the standard, whatever the browser leaves out", () => {
  const en = new Words("en");
  assert.equal(en.money(7770, "JPY"), "¥7,770");
  assert.equal(en.money(7770, "KWD"), "KWD\u00a07.770");
  assert.equal(en.money(7770, "HUF"), "Ft\u00a077.70"); // Intl alone would show none
  assert.equal(en.money(-5, "CNY"), "-¥0.05");
  assert.equal(en.money(466_225 / 60, "CNY", 2), "¥77.7042");
  assert.equal(en.money(466_225 / 60, "JPY", 2), "¥7,770.42");
});

test("a value's text is never read as a placeholder or as a pattern", () => {
  const en = new Words("en");
  assert.equal(en.t("take.name", { name: "{name} $& $1" }), "Take {name} $& $1");
});
