/** JSON Schema (2020-12), as the API's description uses it, as lines for people. Pure. */

/**
 * @typedef {{
 *   $ref?: string, type?: string, format?: string, description?: string | undefined, const?: unknown,
 *   enum?: readonly unknown[], default?: unknown, examples?: readonly unknown[], pattern?: string,
 *   minimum?: number, maximum?: number, minLength?: number, maxLength?: number,
 *   minItems?: number, maxItems?: number, items?: Schema, anyOf?: readonly Schema[],
 *   additionalProperties?: boolean | Schema, required?: readonly string[],
 *   properties?: Readonly<Record<string, Schema>>,
 * }} Schema
 * @typedef {Readonly<Record<string, Schema>>} Schemas  models by name
 * @typedef {{name: string, type: string, required: boolean, bounds: readonly string[],
 *   text: string, model: string, fields: readonly Field[]}} Field  `model`: whose the fields are
 */

const MODELS = "#/components/schemas/";

/** @param {Schema} schema  @returns {string} the name of the model that it refers to, or "" */
export function modelOf(schema) {
  return schema.$ref?.startsWith(MODELS) ? schema.$ref.slice(MODELS.length) : "";
}

/**
 * What a reference names, its own words before those of the model.
 * @param {Schema} schema  @param {Schemas} schemas  @returns {Schema}
 */
export function resolved(schema, schemas) {
  const { $ref, ...own } = schema;
  return $ref ? { ...schemas[modelOf(schema)], ...own } : schema;
}

/**
 * A schema without the `null` that it also allows.
 * @param {Schema} schema  @returns {{schema: Schema, nullable: boolean}}
 */
export function split(schema) {
  const choices = schema.anyOf ?? [];
  const others = choices.filter((choice) => choice.type !== "null");
  const [only] = others;
  if (only === undefined || others.length === choices.length) return { schema, nullable: false };
  const { anyOf, ...own } = schema;
  return { schema: { ...(others.length === 1 ? only : { anyOf: others }), ...own }, nullable: true };
}

/** @param {Schema} given  @param {Schemas} schemas  @returns {string} as `list of Record` */
export function typeOf(given, schemas) {
  const { schema, nullable } = split(given);
  return plainType(schema, schemas) + (nullable ? " or null" : "");
}

/** @param {Schema} schema  @param {Schemas} schemas  @returns {string} */
function plainType(schema, schemas) {
  const model = modelOf(schema);
  const found = resolved(schema, schemas);
  if (found.anyOf) return found.anyOf.map((choice) => typeOf(choice, schemas)).join(" or ");
  if (found.enum || found.const !== undefined) return found.type ?? "string";
  if (found.type === "array") return `list of ${typeOf(found.items ?? {}, schemas)}`;
  if (model) return model;
  if (typeof found.additionalProperties === "object")
    return `map to ${typeOf(found.additionalProperties, schemas)}`;
  return found.format ?? found.type ?? "any value";
}

/**
 * What a value must keep to; code in backticks.
 * @param {Schema} given  @param {Schemas} schemas  @returns {readonly string[]}
 */
export function boundsOf(given, schemas) {
  const schema = resolved(split(given).schema, schemas);
  const bounds = [
    range(schema.minimum, schema.maximum, ""),
    range(schema.minLength || undefined, schema.maxLength, " characters"),
    range(schema.minItems || undefined, schema.maxItems, " items"),
  ];
  if (schema.const !== undefined) bounds.push(`always ${code(schema.const)}`);
  if (schema.enum) bounds.push(`one of ${schema.enum.map(code).join(", ")}`);
  if (schema.pattern) bounds.push(`matches \`${schema.pattern}\``);
  if (schema.default !== undefined && schema.default !== null)
    bounds.push(`default ${code(schema.default)}`);
  return bounds.filter((bound) => bound !== "");
}

/** @param {unknown} value */
const code = (value) => `\`${typeof value === "string" && value ? value : JSON.stringify(value)}\``;

/** @param {number | undefined} least  @param {number | undefined} most  @param {string} unit */
function range(least, most, unit) {
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return `at least ${figure(least)}${unit}`;
  if (least === undefined) return `at most ${figure(most)}${unit}`;
  return least === most ? `${figure(most)}${unit}` : `${figure(least)} to ${figure(most)}${unit}`;
}

/** @param {number | undefined} value  with thin groups, as no language would misread it */
const figure = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/**
 * The object whose fields a value has: it itself, or what its list or map is made of.
 * @param {Schema} given  @param {Schemas} schemas
 * @returns {{model: string, schema: Schema}}
 */
export function insideOf(given, schemas) {
  const { schema } = split(given);
  const found = resolved(schema, schemas);
  if (found.items) return insideOf(found.items, schemas);
  if (typeof found.additionalProperties === "object" && !found.properties)
    return insideOf(found.additionalProperties, schemas);
  return { model: modelOf(schema), schema: found };
}

/**
 * The fields of an object, those of objects within them below. A model within itself ends there.
 * @param {Schema} schema  @param {Schemas} schemas
 * @param {readonly string[]} [above]  models that this one is within
 * @returns {readonly Field[]}
 */
export function fieldsOf(schema, schemas, above = []) {
  const inside = insideOf(schema, schemas);
  if (above.includes(inside.model)) return [];
  const within = inside.model ? [...above, inside.model] : above;
  const required = inside.schema.required ?? [];
  return Object.entries(inside.schema.properties ?? {}).map(([name, field]) =>
    fieldOf(name, field, required.includes(name), schemas, within),
  );
}

/**
 * @param {string} name  @param {Schema} schema  @param {boolean} required  @param {Schemas} schemas
 * @param {readonly string[]} [above]  @returns {Field}
 */
export function fieldOf(name, schema, required, schemas, above = []) {
  return {
    name,
    type: typeOf(schema, schemas),
    required,
    bounds: boundsOf(schema, schemas),
    text: schema.description ?? "",
    model: insideOf(schema, schemas).model,
    fields: fieldsOf(schema, schemas, above),
  };
}
