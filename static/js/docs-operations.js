/** The API's description as its page shows it: operations by resource, and finding them. Pure. */

import { curlOf } from "./docs-example.js";
import { fieldOf, fieldsOf, insideOf, typeOf } from "./docs-schema.js";

/** @typedef {import("./docs-schema.js").Field} Field */
/** @typedef {import("./docs-schema.js").Schemas} Schemas */
/** @typedef {import("./docs-example.js").Operation} Operation */
/** @typedef {import("./docs-example.js").Response} Response */
/**
 * @typedef {{
 *   info: {title: string, version: string, description: string},
 *   tags?: readonly {name: string, description: string}[],
 *   paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>,
 *   components: {schemas: Schemas},
 * }} Description  an OpenAPI document
 * @typedef {{media: string, type: string, text: string, fields: readonly Field[]}} Body
 * @typedef {{status: string, text: string, bodies: readonly Body[], codes: readonly string[],
 *   headers: readonly {name: string, text: string}[]}} Answer
 * @typedef {{
 *   id: string, method: string, path: string, summary: string, text: string,
 *   scopes: readonly string[], parameters: readonly (Field & {place: string})[],
 *   body: (Body & {required: boolean}) | null, answers: readonly Answer[], curl: string,
 *   words: string,
 * }} Shown
 * @typedef {{tag: string, text: string, operations: readonly Shown[]}} Group
 * @typedef {{kind: "text" | "code" | "strong", text: string}} Piece
 */

const PROBLEM = "application/problem+json";

/**
 * @param {Description} description  @param {string} origin  of the server, for examples
 * @returns {readonly Group[]} in the order of the description's tags, others behind them; in each
 *     by path, lists before what is in them
 */
export function groupsOf(description, origin) {
  const schemas = description.components.schemas;
  /** @type {Map<string, {tag: string, text: string, operations: Shown[]}>} */
  const groups = new Map();
  for (const { name, description: text } of description.tags ?? [])
    groups.set(name, { tag: name, text, operations: [] });
  for (const [path, methods] of Object.entries(description.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "others";
      const group = groups.get(tag) ?? { tag, text: "", operations: [] };
      groups.set(tag, group);
      group.operations.push(shownOf(method.toUpperCase(), path, operation, schemas, origin));
    }
  for (const { operations } of groups.values())
    operations.sort((one, other) => Number(one.path > other.path) - Number(one.path < other.path));
  return [...groups.values()].filter((group) => group.operations.length > 0);
}

/**
 * @param {string} method  @param {string} path  @param {Operation} operation
 * @param {Schemas} schemas  @param {string} origin  @returns {Shown}
 */
function shownOf(method, path, operation, schemas, origin) {
  const [body] = bodiesOf(operation.requestBody ?? {}, schemas);
  /** @type {Omit<Shown, "words">} */
  const shown = {
    id: operation.operationId,
    method,
    path,
    summary: operation.summary,
    text: operation.description,
    scopes: (operation.security ?? []).flatMap((one) => Object.values(one).flat()),
    parameters: (operation.parameters ?? []).map((one) => ({
      ...fieldOf(one.name, { description: one.description, ...one.schema }, one.required, schemas),
      place: one.in,
    })),
    body: body ? { ...body, required: operation.requestBody?.required ?? false } : null,
    answers: Object.entries(operation.responses).map(([status, answer]) =>
      answerOf(status, answer, schemas),
    ),
    curl: curlOf(origin, method, path, operation, schemas),
  };
  return { ...shown, words: wordsOf(shown) };
}

/** @param {{content?: import("./docs-example.js").Content}} of  @param {Schemas} schemas */
function bodiesOf(of, schemas) {
  return Object.entries(of.content ?? {}).map(([media, { schema }]) => ({
    media,
    type: schema.$ref || schema.items ? typeOf(schema, schemas) : "",
    text: insideOf(schema, schemas).schema.description ?? "",
    fields: fieldsOf(schema, schemas),
  }));
}

/** @param {string} status  @param {Response} answer  @param {Schemas} schemas  @returns {Answer} */
function answerOf(status, answer, schemas) {
  const codes = answer.content?.[PROBLEM]?.schema.properties?.["code"]?.enum ?? [];
  return {
    status,
    text: answer.description,
    bodies: bodiesOf(answer, schemas).filter((body) => body.media !== PROBLEM),
    codes: codes.map(String),
    headers: Object.entries(answer.headers ?? {}).map(([name, header]) => ({
      name,
      text: header.description,
    })),
  };
}

/** @param {Omit<Shown, "words">} of  @returns {string} all by which it may be looked for */
function wordsOf(of) {
  const fields = [of.body, ...of.answers.flatMap((answer) => answer.bodies)];
  const names = fields.flatMap((body) => [body?.type ?? "", ...namesOf(body?.fields ?? [])]);
  const codes = of.answers.flatMap((answer) => [answer.status, ...answer.codes]);
  const parameters = of.parameters.map((one) => one.name);
  return [of.method, of.path, of.id, of.summary, of.text, ...of.scopes]
    .concat(parameters, codes, names)
    .join(" ")
    .toLowerCase();
}

/** @param {readonly Field[]} fields  @returns {readonly string[]} */
function namesOf(fields) {
  return fields.flatMap((field) => [field.name, ...namesOf(field.fields)]);
}

/** @param {Shown} operation  @param {string} query  @returns {boolean} whether it has every word */
export function matches(operation, query) {
  const words = query.toLowerCase().split(/\s+/);
  return words.every((word) => operation.words.includes(word));
}

/**
 * The little of CommonMark that descriptions use: paragraphs, `code`, **strong**.
 * @param {string} text  @returns {readonly (readonly Piece[])[]}
 */
export function proseOf(text) {
  return text
    .split("\n\n")
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => paragraph.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map(pieceOf));
}

/** @param {string} part  @returns {Piece} */
function pieceOf(part) {
  if (/^`[^`]+`$/.test(part)) return { kind: "code", text: part.slice(1, -1) };
  if (/^\*\*[^*]+\*\*$/.test(part)) return { kind: "strong", text: part.slice(2, -2) };
  return { kind: "text", text: part };
}
