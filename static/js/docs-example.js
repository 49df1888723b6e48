/** Requests for a terminal, made from the API's description. Pure. */

import { resolved, split } from "./docs-schema.js";

/** @typedef {import("./docs-schema.js").Schema} Schema */
/** @typedef {import("./docs-schema.js").Schemas} Schemas */
/**
 * @typedef {{name: string, in: string, required: boolean, schema: Schema,
 *   description?: string}} Parameter
 * @typedef {Readonly<Record<string, {schema: Schema, example?: unknown}>>} Content  by media type
 * @typedef {{description: string, content?: Content,
 *   headers?: Readonly<Record<string, {description: string}>>}} Response
 * @typedef {{
 *   operationId: string, summary: string, description: string, tags?: readonly string[],
 *   parameters?: readonly Parameter[], requestBody?: {required: boolean, content: Content},
 *   responses: Readonly<Record<string, Response>>,
 *   security?: readonly Readonly<Record<string, readonly string[]>>[],
 * }} Operation
 */

/** The variable of the shell that holds the API key. */
export const KEY = "WENZHEN_KEY";

/**
 * A value that a schema allows: its example where it has one.
 * @param {Schema} given  @param {Schemas} schemas  @param {string} name  for texts of any form
 * @returns {unknown}
 */
export function sampleOf(given, schemas, name) {
  const schema = resolved(split(given).schema, schemas);
  const [example] = schema.examples ?? [];
  const [first] = schema.enum ?? [];
  const [choice] = schema.anyOf ?? [];
  const known = [example, schema.const, schema.default ?? undefined, first];
  const value = known.find((one) => one !== undefined);
  if (value !== undefined) return value;
  if (choice) return sampleOf(choice, schemas, name);
  switch (schema.type) {
    case "integer":
    case "number":
      return schema.minimum ?? 0;
    case "boolean":
      return true;
    case "array":
      return [sampleOf(schema.items ?? {}, schemas, name)];
    case "object":
      return Object.fromEntries(
        (schema.required ?? []).map((field) => [
          field,
          sampleOf(schema.properties?.[field] ?? {}, schemas, field),
        ]),
      );
    default:
      return schema.format === "date-time" ? "2026-03-31T16:00:00Z" : name.toUpperCase();
  }
}

/** @param {string} text  @returns {string} one word of a POSIX shell that means exactly this */
export function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * A request as a line for curl: what must be given, and what has a default.
 * @param {string} origin  of the server  @param {string} method  @param {string} path
 * @param {Operation} operation  @param {Schemas} schemas  @returns {string}
 */
export function curlOf(origin, method, path, operation, schemas) {
  const url = origin + filled(path, operation, schemas);
  const body = operation.requestBody?.content["application/json"];
  const lines = [`curl ${quoted(url)}`];
  if (method !== (body ? "POST" : "GET")) lines[0] = `curl -X ${method} ${quoted(url)}`;
  if (operation.security?.length) lines.push(`-H "Authorization: Bearer $${KEY}"`);
  for (const one of operation.parameters ?? [])
    if (one.in === "header" && one.required)
      lines.push(`-H ${quoted(`${one.name}: ${sampleOf(one.schema, schemas, one.name)}`)}`);
  if (body) {
    lines.push("-H 'Content-Type: application/json'");
    const sample = body.example ?? sampleOf(body.schema, schemas, "body");
    lines.push(`-d ${quoted(JSON.stringify(sample, null, 2))}`);
  }
  if (isFile(operation)) lines.push("-OJ");
  return lines.join(" \\\n  ");
}

/** @param {string} path  @param {Operation} operation  @param {Schemas} schemas */
function filled(path, operation, schemas) {
  const parameters = operation.parameters ?? [];
  const sample = (/** @type {Parameter} */ one) =>
    encodeURIComponent(String(sampleOf(one.schema, schemas, one.name)));
  let result = path;
  for (const one of parameters)
    if (one.in === "path") result = result.replace(`{${one.name}}`, sample(one));
  const query = parameters
    .filter((one) => one.in === "query" && (one.required || one.schema.default !== undefined))
    .map((one) => `${encodeURIComponent(one.name)}=${sample(one)}`);
  return query.length ? `${result}?${query.join("&")}` : result;
}

/** @param {Operation} operation  @returns {boolean} whether it answers with what no terminal shows */
function isFile(operation) {
  return Object.keys(operation.responses["200"]?.content ?? {}).some((media) =>
    /^(video|audio|image|text\/csv|application\/octet-stream)/.test(media),
  );
}
