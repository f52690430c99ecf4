/**
 * Writes `src/events.generated.ts` from the schema of the wire; with `--check`, tells whether it is up to date.
 *
 * Made for this schema, which is regular on purpose: every event is one envelope with a `type` of its own and a `data`
 * beside it. Whatever the schema says that isn't understood here is an error, never an `any`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const SCHEMA = new URL("../../../docs/events.v1.schema.json", import.meta.url);
const TARGET = new URL("../src/events.generated.ts", import.meta.url);

/** Keywords that narrow values without changing their type in TypeScript. */
const NARROWING = new Set(["minLength", "maxLength", "minimum", "maximum", "format", "pattern", "minProperties"]);
const UNDERSTOOD = new Set([
  ...NARROWING,
  ...["$ref", "additionalProperties", "const", "description", "enum", "items", "properties", "required"],
  ...["title", "tsType", "type"],
]);

const schema = JSON.parse(readFileSync(SCHEMA, "utf8"));
const nameOf = (ref) => ref.replace("#/$defs/", "");

/** The type that a schema stands for, on one line; objects with fields are definitions of their own. */
function typeOf(node) {
  const strange = Object.keys(node).filter((key) => !UNDERSTOOD.has(key));
  if (strange.length > 0) throw new Error(`not understood: ${strange} in ${JSON.stringify(node)}`);
  if (node.$ref) return nameOf(node.$ref);
  if (node.tsType) return node.tsType;
  if ("const" in node) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  switch (node.type) {
    case undefined:
      return "unknown";
    case "string":
    case "boolean":
      return node.type;
    case "integer":
    case "number":
      return "number";
    case "array":
      return `${typeOf(node.items)}[]`;
    case "object":
      if (node.properties) throw new Error(`an object without a name: ${JSON.stringify(node)}`);
      return "Record<string, unknown>";
    default:
      throw new Error(`no type for ${JSON.stringify(node)}`);
  }
}

const comment = (text, indent = "") => (text ? `${indent}/** ${text} */\n` : "");

function fields(properties, required) {
  return Object.entries(properties)
    .map(([name, node]) => {
      const mark = required.includes(name) ? "" : "?";
      return `${comment(node.description, "  ")}  ${name}${mark}: ${typeOf(node)};\n`;
    })
    .join("");
}

function interfaceOf(name, node) {
  // An object that is open by intent, such as the data of an application's own events.
  if (!node.properties) return `${comment(node.description)}export type ${name} = ${typeOf(node)};\n`;
  return `${comment(node.description)}export interface ${name} {\n${fields(node.properties, node.required ?? [])}}\n`;
}

function render() {
  const names = schema.oneOf.map((choice) => nameOf(choice.$ref));
  const events = names.map((name) => [name, schema.$defs[name]]);
  const envelopes = events.map(([, { properties, required }]) => {
    const { type: _type, data: _data, ...shared } = properties;
    return fields(shared, required);
  });
  if (new Set(envelopes).size !== 1) throw new Error("events no longer share one envelope");

  const parts = [
    "// Made by scripts/events.mjs from docs/events.v1.schema.json: `make schema` writes it anew.\n",
    `/** What every event carries, whatever its type. */\nexport interface Envelope {\n${envelopes[0]}}\n`,
  ];
  for (const [name, { properties, description }] of events) {
    const own = `  type: ${typeOf(properties.type)};\n  data: ${typeOf(properties.data)};\n`;
    parts.push(`${comment(description)}export interface ${name} extends Envelope {\n${own}}\n`);
  }
  for (const [name, node] of Object.entries(schema.$defs)) {
    if (!names.includes(name)) parts.push(interfaceOf(name, node));
  }
  parts.push(
    `/** Every event that this version knows, told apart by \`type\`. */\nexport type KnownEvent =\n${names
      .map((name) => `  | ${name}`)
      .join("\n")};\n`,
  );
  return parts.join("\n");
}

const text = render();
if (!process.argv.includes("--check")) {
  writeFileSync(TARGET, text);
} else if (text !== readFileSync(TARGET, "utf8")) {
  console.error("libs/client-js/src/events.generated.ts is not what the schema says; run: make schema");
  process.exit(1);
}
