/** The accountant's page: the parts, put together. */

import { Refused, currentStaff, get, signInStaff, signOutStaff } from "./billing-api.js";
import { Correcting } from "./billing-correct.js";
import { ClinicTimes, dayIn } from "./billing-format.js";
import { renderRecord } from "./billing-record.js";
import { RecordsView, tellFound, wantedBy } from "./billing-records.js";
import { daysOf, hashOf, monthBefore, routeOf, searchOf } from "./billing-route.js";
import { renderStatement } from "./billing-statement.js";
import { ref, setText, show, showPhase } from "./dom.js";
import { Words, initialLanguage, languageSwitch, rememberLanguage, translatePage } from "./i18n.js";

/** @typedef {import("./billing-route.js").Route} Route */
/** @typedef {import("./billing-route.js").RecordsRoute} RecordsRoute */
/** @typedef {import("./billing-route.js").RecordRoute} RecordRoute */
/** @typedef {import("./billing-route.js").StatementRoute} StatementRoute */

const LIFE = new AbortController();
const RETRY_MS = 3000;

let words = new Words(initialLanguage());
/** @type {import("./billing-api.js").Session | null} */
let session = null;
let times = new ClinicTimes(words.language, "UTC");
/** What is being asked for; a newer question ends it. */
let asking = new AbortController();
/** @type {{view: RecordsView, route: RecordsRoute, cursor: string | null} | null} */
let list = null;
/** @type {import("./billing-record.js").Explained | null} */
let opened = null;
/** Where the list was left. */
let listHash = "#records";

const correcting = new Correcting(
  () => words,
  () => session?.staff.id ?? "",
  () => void go(),
  LIFE.signal,
);

/** Show what the address names.  @returns {Promise<void>} */
async function go() {
  if (session === null) return;
  const route = routeOf(location.hash, dayIn(session.timezone, new Date()));
  correcting.close();
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  ref("main-content").setAttribute("aria-busy", "true");
  try {
    await shown(route, signal);
    show(ref("error"), false);
  } catch (error) {
    failed(error);
  } finally {
    if (!signal.aborted) ref("main-content").removeAttribute("aria-busy");
  }
}

/** @param {Route} route  @param {AbortSignal} signal */
async function shown(route, signal) {
  if (route.view === "records") await showRecords(route, signal);
  else if (route.view === "record") await showRecord(route, signal);
  else await showStatement(route, signal);
  signal.throwIfAborted();
  const section = route.view === "statements" ? "statements" : "records";
  for (const name of ["records", "statements"]) {
    if (name === section) ref(`tab-${name}`).setAttribute("aria-current", "page");
    else ref(`tab-${name}`).removeAttribute("aria-current");
  }
  showPhase(route.view);
  const heading = document.querySelector(`[data-phase="${route.view}"] h1`)?.textContent;
  document.title = `${heading} · ${words.t("brand")}`; // a saved PDF is named by it
}

/** @param {RecordsRoute} route  @param {AbortSignal} signal */
async function showRecords(route, signal) {
  const page = await get(`/api/v1/records/search?${searchOf(route)}`, signal);
  listHash = hashOf(route);
  list = { view: new RecordsView(words, times), route, cursor: page.next_cursor };
  list.view.begin(route, page);
  const count = page.totals.reduce((/** @type {number} */ n, /** @type {any} */ t) => n + t.records, 0);
  tellFound(words, list.view, words.t("bill.found", { count: words.number(count, 0) }));
}

async function more() {
  if (list === null || list.cursor === null) return;
  const button = /** @type {HTMLButtonElement} */ (ref("more"));
  button.disabled = true;
  try {
    const query = searchOf(list.route);
    query.set("cursor", list.cursor);
    const page = await get(`/api/v1/records/search?${query}`, asking.signal);
    list.cursor = page.next_cursor;
    list.view.append(page);
  } catch (error) {
    failed(error);
  } finally {
    button.disabled = false;
  }
}

/** @param {RecordRoute} route  @param {AbortSignal} signal */
async function showRecord(route, signal) {
  opened = await get(`/api/v1/records/${route.id}/explained`, signal);
  if (opened === null) return;
  ref("back").setAttribute("href", listHash);
  renderRecord(opened, words, times, session?.staff.scopes.includes("adjust") ?? false);
}

/** @param {StatementRoute} route  @param {AbortSignal} signal */
async function showStatement(route, signal) {
  const found = await get(`/api/v1/statements/${route.of}?month=${route.month}`, signal);
  renderStatement(route, found, session?.organization.name ?? "", words, times);
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof Refused && error.status === 401) {
    session = null;
    enter();
    return;
  }
  const unknown = error instanceof Refused && error.code === "unknown_record";
  const text = unknown ? words.t("bill.unknown") : words.t("error.generic", { message: String(error) });
  setText(ref("error"), text);
  show(ref("error"), true);
  if (document.body.dataset.now === "loading") showPhase("records");
}

/** Signed in or out. */
function enter() {
  const name = session ? `${session.staff.name} · ${session.organization.name}` : "";
  setText(ref("person"), name);
  if (session === null) return showPhase("sign-in");
  times = new ClinicTimes(words.language, session.timezone);
  void go();
}

async function submitSignIn() {
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (ref(name));
  const button = /** @type {HTMLButtonElement} */ (ref("sign-in"));
  button.disabled = true;
  const result = await signInStaff(field("username").value, field("password").value);
  button.disabled = false;
  show(ref("sign-in-error"), result !== "ok");
  if (result !== "ok") {
    setText(ref("sign-in-error"), words.t(`sign_in.${result}`));
    return;
  }
  field("password").value = "";
  await start();
}

async function leave() {
  session = null;
  enter();
  await signOutStaff().catch(failed);
}

/** @param {Route} route */
function navigate(route) {
  const hash = hashOf(route);
  if (location.hash === hash) void go();
  else location.hash = hash;
}

/** @param {{from: string, to: string}} days */
function range(days) {
  const form = /** @type {HTMLFormElement} */ (ref("filters"));
  navigate({ ...wantedBy(form), ...days });
}

function listen() {
  const on = (/** @type {string} */ name, /** @type {() => void} */ act, event = "click") =>
    ref(name).addEventListener(event, (e) => (e.preventDefault(), act()), { signal: LIFE.signal });
  const today = () => dayIn(session?.timezone ?? "UTC", new Date());
  const month = () => today().slice(0, 7);
  on("sign-in-form", () => void submitSignIn(), "submit");
  on("sign-out", () => void leave());
  on("filters", () => navigate(wantedBy(/** @type {HTMLFormElement} */ (ref("filters")))), "submit");
  on("today", () => range({ from: today(), to: today() }));
  on("this-month", () => range(daysOf(month())));
  on("last-month", () => range(daysOf(monthBefore(month()))));
  on("more", () => void more());
  on("correct", () => opened && correcting.open(opened));
  on("print", () => print());
  on(
    "statement-form",
    () => {
      const given = new FormData(/** @type {HTMLFormElement} */ (ref("statement-form")));
      const of = given.get("of") === "organization" ? "organization" : "physicians";
      navigate({ view: "statements", of, month: String(given.get("month")) });
    },
    "submit",
  );
  // the fragment is the page's own: the skip link must not change it
  on("skip", () => ref("main-content").focus());
  addEventListener("hashchange", () => void go(), { signal: LIFE.signal });
}

/** Signed in from before, or not: asked until the server answers. */
async function start() {
  try {
    session = await currentStaff();
    enter();
  } catch {
    setTimeout(() => void start(), RETRY_MS);
  }
}

languageSwitch(ref("languages"), words.language, (language) => {
  rememberLanguage(language);
  words = new Words(language);
  translatePage(words);
  if (document.body.dataset.now !== "loading") enter();
});
translatePage(words);
listen();
showPhase("loading");
void start();
