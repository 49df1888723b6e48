/** The API's description as elements. */

import { proseOf } from "./docs-operations.js";
import { make } from "./dom.js";

/** @typedef {import("./docs-schema.js").Field} Field */
/** @typedef {import("./docs-operations.js").Shown} Shown */
/** @typedef {import("./docs-operations.js").Group} Group */
/** @typedef {import("./docs-operations.js").Body} Body */
/** @typedef {import("./docs-operations.js").Answer} Answer */

/** @param {string} text  @returns {Node[]} one paragraph with its code */
function line(text) {
  return (proseOf(text)[0] ?? []).map((piece) =>
    piece.kind === "text" ? new Text(piece.text) : make(piece.kind, { text: piece.text }),
  );
}

/** @param {string} text  @returns {Node[]} */
export function prose(text) {
  return text.split("\n\n").map((paragraph) => make("p", {}, ...line(paragraph)));
}

/** @param {Group} group  @returns {HTMLElement} */
export function groupView(group) {
  const section = make("section", { class: "resource" });
  const heading = make("h2", { text: group.tag });
  heading.id = `tag-${group.tag}`;
  section.setAttribute("aria-labelledby", heading.id);
  section.append(heading, ...prose(group.text), ...group.operations.map(operationView));
  return section;
}

/** @param {Shown} of  @returns {HTMLDetailsElement} */
function operationView(of) {
  const details = make("details", { class: "operation" });
  details.id = of.id;
  const method = make("span", { class: "method", text: of.method });
  method.dataset.method = of.method;
  const heading = make("h3", {}, method, new Text(" "), pathView(of.path));
  const scopes = make("span", { class: "scopes" }, ...scopesView(of.scopes));
  const about = make("span", { class: "about", text: of.summary });
  details.append(make("summary", {}, heading, about, scopes), contents(of));
  return details;
}

/** @param {string} path  may be broken before each slash  @returns {HTMLElement} */
function pathView(path) {
  const parts = path.split(/(?=\/)/).flatMap((part) => [make("wbr"), new Text(part)]);
  return make("code", {}, ...parts.slice(1));
}

/** @param {readonly string[]} scopes  @returns {Node[]} */
function scopesView(scopes) {
  const chips = scopes.flatMap((scope) => [new Text(" or "), make("code", { text: scope })]);
  return scopes.length ? [new Text("scope "), ...chips.slice(1)] : [new Text("no key")];
}

/** @param {Shown} of  @returns {HTMLElement} */
function contents(of) {
  const link = make("a", { class: "here", text: "Link to this" });
  link.href = `#${of.id}`;
  const parts = [make("div", { class: "said" }, ...prose(of.text), link)];
  if (of.parameters.length) parts.push(part("Parameters", fieldsView(of.parameters)));
  if (of.body) {
    const must = of.body.required ? "" : " (may be left out)";
    parts.push(part(`Body${must}`, ...bodyView(of.body)));
  }
  parts.push(part("Answers", make("div", { class: "answers" }, ...of.answers.map(answerView))));
  parts.push(part("Example", exampleView(of)));
  return make("div", { class: "contents" }, ...parts);
}

/** @param {string} title  @param {...Node} nodes  @returns {HTMLDivElement} */
function part(title, ...nodes) {
  return make("div", { class: "part" }, make("h4", { text: title }), ...nodes);
}

/** @param {Body} body  @returns {Node[]} */
function bodyView(body) {
  const media = make("p", { class: "media" }, make("code", { text: body.media }));
  if (body.type) media.append(new Text(" "), make("strong", { text: body.type }));
  return [media, ...prose(body.text), ...(body.fields.length ? [fieldsView(body.fields)] : [])];
}

/** @param {readonly (Field & {place?: string})[]} fields  @returns {HTMLElement} */
function fieldsView(fields) {
  const list = make("ul", { class: "fields" }, ...fields.map(fieldView));
  list.setAttribute("role", "list"); // Safari forgets it where there are no bullets
  return list;
}

/** @param {Field & {place?: string}} field  @returns {HTMLElement} */
function fieldView(field) {
  const head = make("p", { class: "field" }, make("code", { class: "name", text: field.name }));
  const words = field.place ? `${field.place}, ${field.type}` : field.type;
  head.append(new Text(" "), make("span", { class: "type", text: words }));
  if (field.required) head.append(new Text(" "), make("span", { class: "must", text: "required" }));
  const item = make("li", {}, head);
  if (field.text) item.append(make("p", { class: "text" }, ...line(field.text)));
  const bounds = field.bounds.flatMap((bound) => [new Text("; "), ...line(bound)]).slice(1);
  if (bounds.length) item.append(make("p", { class: "bounds" }, ...bounds));
  if (field.fields.length) {
    const count = field.fields.length === 1 ? "1 field" : `${field.fields.length} fields`;
    const summary = make("summary", { text: `${field.model || field.name}: ${count}` });
    item.append(make("details", { class: "inside" }, summary, fieldsView(field.fields)));
  }
  return item;
}

/** @param {Answer} answer  @returns {HTMLElement} */
function answerView(answer) {
  const status = make("strong", { class: "status", text: answer.status });
  status.dataset.kind = answer.status.charAt(0);
  const head = [status, make("span", {}, ...line(answer.text))];
  const headers = answer.headers.map((header) => {
    const words = [make("code", { text: header.name }), new Text(` ${header.text}`)];
    return make("p", { class: "header" }, new Text("Header "), ...words);
  });
  const codes = answer.codes.map((text) => make("code", { class: "code", text }));
  const more = [...(codes.length ? [make("p", { class: "codes" }, ...spaced(codes))] : []), ...headers];
  const bodies = answer.bodies.flatMap(bodyView);
  if (!answer.bodies.some((body) => body.fields.length)) {
    return make("div", { class: "answer" }, make("p", { class: "head" }, ...head), ...more, ...bodies);
  }
  const names = answer.bodies.map((body) => body.type).filter(Boolean).join(", ");
  head.push(make("span", { class: "type", text: names }));
  return make("details", { class: "answer" }, make("summary", {}, ...head), ...more, ...bodies);
}

/** @param {readonly Node[]} nodes  @returns {Node[]} readable, and copied, one by one */
const spaced = (nodes) => nodes.flatMap((node) => [new Text(" "), node]).slice(1);

/** @param {Shown} of  @returns {HTMLElement} */
function exampleView(of) {
  const text = make("code", { text: of.curl, testid: `curl-${of.id}` });
  const pre = make("pre", {}, text);
  pre.tabIndex = 0; // scrolled by keys where it is wide
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", `curl for ${of.method} ${of.path}`);
  const copy = make("button", { class: "secondary copy", text: "Copy" });
  copy.type = "button";
  copy.setAttribute("aria-label", `Copy the example of ${of.method} ${of.path}`);
  copy.dataset.copies = of.id;
  return make("div", { class: "example" }, pre, copy);
}

/** @param {Group} group  @returns {HTMLElement} a part of the list on the side */
export function navView(group) {
  const links = group.operations.map((of) => {
    const link = make("a", {}, make("span", { class: "method", text: of.method }), new Text(" "));
    link.href = `#${of.id}`;
    link.append(make("span", { text: of.summary }));
    const item = make("li", {}, link);
    item.dataset.operation = of.id;
    return item;
  });
  const heading = make("a", { class: "tag-link", text: group.tag });
  heading.href = `#tag-${group.tag}`;
  return make("div", { class: "nav-group" }, heading, make("ul", {}, ...links));
}
