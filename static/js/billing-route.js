/**
 * Where in the billing page somebody is: kept in the fragment, so that going back, a bookmark and
 * a second window work. Days and months are of the clinic's time zone, as texts.
 */

/**
 * @typedef {{
 *   view: "records", from: string, to: string, physician: string | null,
 *   department: string | null, mode: "voice" | "video" | null,
 * }} RecordsRoute  both days are in it; null: all
 * @typedef {{view: "record", id: string}} RecordRoute
 * @typedef {{view: "statements", of: "physicians" | "organization", month: string}} StatementRoute
 * @typedef {RecordsRoute | RecordRoute | StatementRoute} Route
 */

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/;

/**
 * @param {string} hash  of the address
 * @param {string} today  as in 2026-03-14
 * @returns {Route}
 */
export function routeOf(hash, today) {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const given = new URLSearchParams(query);
  const id = /^record\/(\w{1,128})$/.exec(path)?.[1];
  if (id !== undefined) return { view: "record", id };
  if (path === "statements") {
    const month = given.get("month") ?? "";
    const of = given.get("of") === "organization" ? "organization" : "physicians";
    return { view: "statements", of, month: MONTH.test(month) ? month : today.slice(0, 7) };
  }
  const [from, to] = [given.get("from") ?? "", given.get("to") ?? ""];
  const mode = given.get("mode");
  return {
    view: "records",
    from: isDay(from) ? from : `${today.slice(0, 7)}-01`,
    to: isDay(to) ? to : today,
    physician: given.get("physician") || null,
    department: given.get("department"),
    mode: mode === "voice" || mode === "video" ? mode : null,
  };
}

/** @param {Route} route  @returns {string} */
export function hashOf(route) {
  if (route.view === "record") return `#record/${route.id}`;
  const { view, ...rest } = route;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) if (value !== null) query.set(name, value);
  return `#${view}?${query}`;
}

/**
 * The query of a search or a download, whose `to` is not in it.
 * @param {RecordsRoute} route  @returns {URLSearchParams}
 */
export function searchOf({ from, to, physician, department, mode }) {
  const query = new URLSearchParams({ from, to: dayAfter(to) });
  if (physician !== null) query.set("physician_id", physician);
  if (department !== null) query.set("department", department);
  if (mode !== null) query.set("mode", mode);
  return query;
}

/** @param {string} day  @returns {string} */
export function dayAfter(day) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
}

/** @param {string} month  @returns {{from: string, to: string}} its first and last day */
export function daysOf(month) {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const last = new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
  return { from: `${month}-01`, to: last };
}

/** @param {string} month  @returns {string} */
export function monthBefore(month) {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 2, 1)).toISOString().slice(0, 7);
}

/** @param {string} text */
function isDay(text) {
  const at = Date.parse(`${text}T00:00:00Z`);
  return DAY.test(text) && !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}
