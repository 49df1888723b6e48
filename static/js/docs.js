/** The page of the API's description: the parts, put together. */

import { groupsOf, matches } from "./docs-operations.js";
import { groupView, navView, prose } from "./docs-view.js";
import { announce, ref, setText, show } from "./dom.js";

/** @typedef {import("./docs-operations.js").Group} Group */
/** @typedef {import("./docs-operations.js").Description} Description */

const COPIED_MS = 2000;

/** @returns {Promise<Description>} */
async function description() {
  const response = await fetch("/api/v1/openapi.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  return response.json();
}

/** @param {Description} of  @param {readonly Group[]} groups */
function render(of, groups) {
  setText(ref("version"), of.info.version);
  ref("introduction").append(...prose(of.info.description));
  ref("resources").append(...groups.map(groupView));
  ref("nav").append(...groups.map(navView));
}

/** Open what the address names and go there; what the filter hides is shown again. */
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target === null) return;
  if (target.closest("[hidden]")) clearFilter();
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    const summary = target.querySelector("summary");
    summary?.focus({ preventScroll: true });
  }
  target.scrollIntoView();
}

function clearFilter() {
  const field = /** @type {HTMLInputElement} */ (ref("filter"));
  field.value = "";
  field.dispatchEvent(new Event("input"));
}

/** @param {readonly Group[]} groups  @param {string} query */
function filter(groups, query) {
  const all = groups.flatMap((group) => group.operations);
  const found = new Set(all.filter((of) => matches(of, query.trim())).map((of) => of.id));
  for (const details of document.querySelectorAll("details.operation"))
    show(details, found.has(details.id));
  for (const item of document.querySelectorAll("[data-operation]"))
    show(item, found.has(item.getAttribute("data-operation") ?? ""));
  for (const part of document.querySelectorAll(".resource, .nav-group"))
    show(part, part.querySelector("details.operation:not([hidden]), li:not([hidden])") !== null);
  show(ref("introduction"), query.trim() === "");
  show(ref("none"), found.size === 0);
  setText(ref("count"), `${found.size} of ${all.length} operations`);
}

/** @param {HTMLButtonElement} button */
async function copy(button) {
  const text = document.querySelector(`[data-testid="curl-${button.dataset.copies}"]`);
  await navigator.clipboard.writeText(text?.textContent ?? "");
  setText(button, "Copied");
  announce("polite", "Copied");
  setTimeout(() => {
    setText(button, "Copy");
    announce("polite", "");
  }, COPIED_MS);
}

async function main() {
  const of = await description();
  const groups = groupsOf(of, location.origin);
  render(of, groups);
  const field = /** @type {HTMLInputElement} */ (ref("filter"));
  field.addEventListener("input", () => filter(groups, field.value));
  filter(groups, field.value);
  // pages that came over plain HTTP have no clipboard: texts can be selected all the same
  for (const button of document.querySelectorAll("[data-copies]"))
    show(button, navigator.clipboard !== undefined);
  ref("resources").addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-copies]") : null;
    if (button instanceof HTMLButtonElement) void copy(button);
  });
  show(ref("loading"), false);
  show(ref("content"), true);
  addEventListener("hashchange", follow);
  follow();
}

main().catch((/** @type {unknown} */ error) => {
  show(ref("loading"), false);
  show(ref("error"), true);
  throw error;
});
