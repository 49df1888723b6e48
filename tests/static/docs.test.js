import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { curlOf, quoted, sampleOf } from "../../static/js/docs-example.js";
import { groupsOf, matches, proseOf } from "../../static/js/docs-operations.js";
import { boundsOf, fieldsOf, typeOf } from "../../static/js/docs-schema.js";

const ref = (/** @type {string} */ name) => ({ $ref: `#/components/schemas/${name}` });
/** @type {import("../../static/js/docs-schema.js").Schemas} */
const SCHEMAS = {
  Split: { type: "object", description: "Who pays.", properties: { fen: { type: "integer" } } },
  Mode: { type: "string", enum: ["voice", "video"] },
  Tree: {
    type: "object",
    required: ["name"],
    properties: { name: { type: "string" }, below: { type: "array", items: ref("Tree") } },
  },
  Problem: { type: "object", properties: { code: { type: "string" } } },
};
/** @type {import("../../static/js/docs-operations.js").Description} */
const DESCRIPTION = {
  info: { title: "x", version: "1", description: "x" },
  tags: [
    { name: "bills", description: "Bills." },
    { name: "unused", description: "Nothing." },
  ],
  paths: {
    "/other": {
      get: { operationId: "other", summary: "Other", description: "x", responses: { 200: { description: "ok" } } },
    },
    "/bills/{bill_id}": {
      post: {
        operationId: "correct_bill",
        summary: "Correct",
        description: "Makes it right.",
        tags: ["bills"],
        security: [{ key: ["adjust"] }, { key: ["admin"] }],
        parameters: [
          { name: "bill_id", in: "path", required: true, schema: { type: "string" } },
          { name: "limit", in: "query", required: false, schema: { type: "integer", default: 100 } },
          { name: "cursor", in: "query", required: false, schema: { type: "string" } },
          { name: "Idempotency-Key", in: "header", required: true, schema: { examples: ["k-1"] } },
        ],
        requestBody: {
          required: true,
          content: { "application/json": { schema: ref("Split"), example: { reason: "it's wrong" } } },
        },
        responses: {
          200: {
            description: "done",
            headers: { Link: { description: "the next" } },
            content: { "application/json": { schema: { type: "array", items: ref("Split") } } },
          },
          409: {
            description: "too late",
            content: {
              "application/problem+json": {
                schema: { ...ref("Problem"), properties: { code: { enum: ["already_void"] } } },
              },
            },
          },
        },
      },
    },
  },
  components: { schemas: SCHEMAS },
};
const ORIGIN = "http://127.0.0.1:8080";

test("types are told in words", () => {
  const nullable = (/** @type {import("../../static/js/docs-schema.js").Schema} */ schema) => ({
    anyOf: [schema, { type: "null" }],
  });
  assert.equal(typeOf({ type: "integer" }, SCHEMAS), "integer");
  assert.equal(typeOf(nullable({ type: "string", format: "date-time" }), SCHEMAS), "date-time or null");
  assert.equal(typeOf(nullable(ref("Split")), SCHEMAS), "Split or null");
  assert.equal(typeOf({ type: "array", items: ref("Split") }, SCHEMAS), "list of Split");
  assert.equal(typeOf({ type: "object", additionalProperties: { type: "integer" } }, SCHEMAS), "map to integer");
  assert.equal(typeOf({ anyOf: [{ type: "string" }, { type: "number" }] }, SCHEMAS), "string or number");
  assert.equal(typeOf(ref("Mode"), SCHEMAS), "string");
  assert.equal(typeOf({}, SCHEMAS), "any value");
});

test("bounds are told, also those of what may be null and of what is referred to", () => {
  const bounds = (/** @type {import("../../static/js/docs-schema.js").Schema} */ schema) =>
    boundsOf(schema, SCHEMAS).join("; ");
  assert.equal(bounds({ type: "integer", minimum: 1, maximum: 1000, default: 0 }), "1 to 1\u202f000; default `0`");
  assert.equal(bounds({ type: "string", minLength: 1, maxLength: 200 }), "1 to 200 characters");
  assert.equal(bounds({ type: "string", minLength: 0, maxLength: 5 }), "at most 5 characters");
  assert.equal(bounds({ anyOf: [{ type: "integer", minimum: 0 }, { type: "null" }], default: null }), "at least 0");
  assert.equal(bounds({ type: "string", pattern: "^[a-z]$" }), "matches `^[a-z]$`");
  assert.equal(bounds(ref("Mode")), "one of `voice`, `video`");
  assert.equal(bounds({ const: "void", default: "" }), "always `void`; default `\"\"`");
  assert.equal(bounds({ type: "string" }), "");
});

test("fields of objects within stand below, and a model within itself ends", () => {
  const [name, below] = fieldsOf(ref("Tree"), SCHEMAS);
  assert.deepEqual([name?.name, name?.required, name?.fields], ["name", true, []]);
  assert.deepEqual([below?.type, below?.required, below?.fields], ["list of Tree", false, []]);
  const [split] = fieldsOf({ properties: { split: { ...ref("Split"), description: "Mine." } } }, SCHEMAS);
  assert.equal(split?.text, "Mine.");
  assert.deepEqual(split?.fields.map((field) => field.name), ["fen"]);
});

test("samples are examples where there are some, and else allowed", () => {
  const sample = (/** @type {import("../../static/js/docs-schema.js").Schema} */ schema) =>
    sampleOf(schema, SCHEMAS, "bill_id");
  assert.equal(sample({ type: "string", examples: ["2026-03"] }), "2026-03");
  assert.equal(sample({ type: "integer", default: 0, minimum: 0 }), 0);
  assert.equal(sample({ type: "integer", minimum: 3 }), 3);
  assert.equal(sample(ref("Mode")), "voice");
  assert.equal(sample({ type: "string" }), "BILL_ID");
  assert.equal(sample({ type: "boolean" }), true);
  assert.deepEqual(sample({ type: "array", items: { const: 7 } }), [7]);
  assert.deepEqual(sample(ref("Tree")), { name: "NAME" });
});

test("a shell reads a quoted text as it is", () => {
  for (const text of ["it's", "$HOME `id` \\ \"x\"", "王女士\nsecond line", ""])
    assert.equal(execFileSync("sh", ["-c", `printf %s ${quoted(text)}`], { encoding: "utf8" }), text);
});

test("the example has all that is required, what has a default, and no more", () => {
  const operation = DESCRIPTION.paths["/bills/{bill_id}"]?.["post"];
  assert.ok(operation);
  const curl = curlOf(ORIGIN, "POST", "/bills/{bill_id}", operation, SCHEMAS);
  const argv = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }; WENZHEN_KEY=k; ${curl}`], {
    encoding: "utf8",
  });
  assert.deepEqual(argv.split("\0").slice(0, -1), [
    `${ORIGIN}/bills/BILL_ID?limit=100`,
    ...["-H", "Authorization: Bearer k", "-H", "Idempotency-Key: k-1"],
    ...["-H", "Content-Type: application/json", "-d", '{\n  "reason": "it\'s wrong"\n}'],
  ]);
  const other = DESCRIPTION.paths["/other"]?.["get"];
  assert.ok(other);
  assert.equal(curlOf(ORIGIN, "DELETE", "/other", other, SCHEMAS), `curl -X DELETE '${ORIGIN}/other'`);
});

test("operations are grouped in the order of the tags, with scopes, answers and codes", () => {
  const groups = groupsOf(DESCRIPTION, ORIGIN);
  assert.deepEqual(groups.map((group) => group.tag), ["bills", "others"]);
  const [correct] = groups[0]?.operations ?? [];
  assert.ok(correct);
  assert.deepEqual(correct.scopes, ["adjust", "admin"]);
  assert.deepEqual(correct.parameters.map((one) => one.place), ["path", "query", "query", "header"]);
  assert.equal(correct.body?.type, "Split");
  const [done, late] = correct.answers;
  assert.deepEqual(done?.bodies.map((body) => body.type), ["list of Split"]);
  assert.deepEqual(done?.headers, [{ name: "Link", text: "the next" }]);
  assert.deepEqual([late?.codes, late?.bodies], [["already_void"], []]);
});

test("within a resource, operations stand by path, and those of one path as described", () => {
  const operation = (/** @type {string} */ operationId) => ({
    ...{ operationId, summary: "x", description: "x", tags: ["records"], responses: {} },
  });
  const paths = {
    "/records/{id}": { get: operation("one") },
    "/records.csv": { get: operation("csv") },
    "/records": { post: operation("make"), get: operation("list") },
  };
  const [group] = groupsOf({ ...DESCRIPTION, paths }, ORIGIN);
  assert.deepEqual(group?.operations.map((one) => one.id), ["make", "list", "csv", "one"]);
});

test("operations are found by every word that stands in them", () => {
  const [correct] = groupsOf(DESCRIPTION, ORIGIN)[0]?.operations ?? [];
  assert.ok(correct);
  for (const query of ["", "POST bills", "already_void", "right correct", "fen", "409 adjust"])
    assert.ok(matches(correct, query), query);
  assert.ok(!matches(correct, "bills tariff"));
});

test("prose has paragraphs, code and strong words, and nothing else means anything", () => {
  assert.deepEqual(proseOf("**Keys.** Send `A: B`.\n\n<b>*x*</b>"), [
    [
      { kind: "strong", text: "Keys." },
      { kind: "text", text: " Send " },
      { kind: "code", text: "A: B" },
      { kind: "text", text: "." },
    ],
    [{ kind: "text", text: "<b>*x*</b>" }],
  ]);
  assert.deepEqual(proseOf(""), []);
});
