/**
 * From a JSON Schema to the fields of a form. Only what people fill in is understood; everything else becomes a field
 * for raw JSON, and the server judges it. So no schema is too strange for a form, and none is checked differently here
 * than there: what is checked here is checked there again.
 */

export type JsonSchema = { readonly [key: string]: unknown };

interface Common {
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly nullable: boolean;
  /** Whether there is a default; `default` may be null or false. */
  readonly hasDefault: boolean;
  readonly default: unknown;
}

export interface StringField extends Common {
  readonly kind: "string";
  readonly minLength: number;
  readonly maxLength: number | undefined;
  readonly pattern: string | undefined;
  readonly format: string | undefined;
  readonly example: string | undefined;
}

export interface NumberField extends Common {
  readonly kind: "number";
  readonly integer: boolean;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly above: number | undefined;
  readonly below: number | undefined;
}

export interface BooleanField extends Common {
  readonly kind: "boolean";
}

export interface EnumField extends Common {
  readonly kind: "enum";
  readonly options: readonly unknown[];
}

export interface ArrayField extends Common {
  readonly kind: "array";
  readonly items: Field;
  readonly minItems: number;
  readonly maxItems: number | undefined;
}

export interface Property {
  readonly name: string;
  readonly required: boolean;
  readonly field: Field;
}

export interface ObjectField extends Common {
  readonly kind: "object";
  readonly properties: readonly Property[];
}

export interface ChoiceField extends Common {
  readonly kind: "choice";
  readonly variants: readonly Field[];
}

export interface JsonField extends Common {
  readonly kind: "json";
}

export type Field =
  | StringField
  | NumberField
  | BooleanField
  | EnumField
  | ArrayField
  | ObjectField
  | ChoiceField
  | JsonField;

// A form of more fields is none that anybody fills in; a schema that refers to itself would make one without end.
const FIELDS_MAX = 300;
const DEPTH_MAX = 6;
const REFS_MAX = 16;

/** Return the fields of a schema; of none at all, a field for any JSON. */
export function fieldOf(schema: JsonSchema | null | undefined): Field {
  const root = schema ?? {};
  let left = FIELDS_MAX;

  const make = (given: unknown, depth: number): Field => {
    left -= 1;
    const { schema: found, nullable } = withoutNull(resolved(given, root), root);
    const common: Common = {
      title: text(found["title"]),
      description: text(found["description"]) ?? text(asSchema(given)["description"]),
      nullable,
      ...defaultOf(asSchema(given), found),
    };
    if (left < 0 || depth > DEPTH_MAX) return { kind: "json", ...common };
    if ("const" in found) return { kind: "enum", options: [found["const"]], ...common };
    if (Array.isArray(found["enum"])) return { kind: "enum", options: found["enum"], ...common };
    const variants = found["anyOf"] ?? found["oneOf"];
    if (Array.isArray(variants) && variants.length > 1) {
      return { kind: "choice", variants: variants.map((variant) => make(variant, depth + 1)), ...common };
    }
    switch (found["type"]) {
      case "string":
        return { kind: "string", ...common, ...stringRules(found) };
      case "integer":
      case "number":
        return { kind: "number", ...common, ...numberRules(found) };
      case "boolean":
        return { kind: "boolean", ...common };
      case "array":
        if (found["prefixItems"] !== undefined || found["items"] === undefined) break;
        return {
          kind: "array",
          items: make(found["items"], depth + 1),
          minItems: number(found["minItems"]) ?? 0,
          maxItems: number(found["maxItems"]),
          ...common,
        };
      case "object": {
        const properties = asSchema(found["properties"]);
        // Names that nobody knows yet can't be fields.
        if (isOpen(found) || Object.keys(properties).length === 0) {
          if (!isEmptyClosed(found)) break;
        }
        const required = Array.isArray(found["required"]) ? found["required"] : [];
        return {
          kind: "object",
          properties: Object.entries(properties).map(([name, property]) => ({
            name,
            required: required.includes(name),
            field: make(property, depth + 1),
          })),
          ...common,
        };
      }
    }
    return { kind: "json", ...common };
  };

  return make(root, 0);
}

function isOpen(schema: JsonSchema): boolean {
  const rest = schema["additionalProperties"];
  return typeof rest === "object" && rest !== null;
}

function isEmptyClosed(schema: JsonSchema): boolean {
  return schema["additionalProperties"] === false && !schema["patternProperties"];
}

/** Follow `$ref` and an `allOf` of one; what stands beside a reference wins over what it refers to. */
function resolved(given: unknown, root: JsonSchema): JsonSchema {
  let schema = asSchema(given);
  for (let hops = 0; hops < REFS_MAX; hops += 1) {
    const only = Array.isArray(schema["allOf"]) && schema["allOf"].length === 1 ? asSchema(schema["allOf"][0]) : null;
    if (typeof schema["$ref"] === "string") {
      const { $ref, ...beside } = schema;
      schema = { ...asSchema(pointed(root, schema["$ref"])), ...beside };
    } else if (only !== null) {
      const { allOf, ...beside } = schema;
      schema = { ...only, ...beside };
    } else {
      return schema;
    }
  }
  return {};
}

function pointed(root: JsonSchema, ref: string): unknown {
  if (!ref.startsWith("#")) return {}; // nothing is fetched
  let found: unknown = root;
  try {
    for (const part of ref.slice(1).split("/").filter(Boolean)) {
      const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      found = asSchema(found)[name];
    }
  } catch {
    return {}; // half of a percent sign
  }
  return found;
}

/** Take `null` out of what a value may be: for people that is leaving a field empty. */
function withoutNull(schema: JsonSchema, root: JsonSchema): { schema: JsonSchema; nullable: boolean } {
  for (const word of ["anyOf", "oneOf"]) {
    const variants = schema[word];
    if (!Array.isArray(variants)) continue;
    const kept = variants.filter((variant) => asSchema(variant)["type"] !== "null");
    const nullable = kept.length < variants.length;
    const { [word]: _, ...beside } = schema;
    if (kept.length === 1) return { schema: { ...resolved(kept[0], root), ...beside }, nullable };
    return { schema: { ...beside, [word]: kept }, nullable };
  }
  const type = schema["type"];
  if (Array.isArray(type)) {
    const kept = type.filter((name) => name !== "null");
    const nullable = kept.length < type.length;
    if (kept.length === 1) return { schema: { ...schema, type: kept[0] }, nullable };
    const { type: _, ...beside } = schema;
    return { schema: { ...beside, anyOf: kept.map((name) => ({ ...beside, type: name })) }, nullable };
  }
  return { schema, nullable: false };
}

function defaultOf(...schemas: readonly JsonSchema[]): Pick<Common, "hasDefault" | "default"> {
  const holder = schemas.find((schema) => "default" in schema);
  return { hasDefault: holder !== undefined, default: holder?.["default"] };
}

function stringRules(schema: JsonSchema) {
  const examples = Array.isArray(schema["examples"]) ? schema["examples"] : [];
  return {
    minLength: number(schema["minLength"]) ?? 0,
    maxLength: number(schema["maxLength"]),
    pattern: text(schema["pattern"]),
    format: text(schema["format"]),
    example: text(examples[0]),
  };
}

function numberRules(schema: JsonSchema) {
  return {
    integer: schema["type"] === "integer",
    minimum: number(schema["minimum"]),
    maximum: number(schema["maximum"]),
    above: number(schema["exclusiveMinimum"]),
    below: number(schema["exclusiveMaximum"]),
  };
}

function asSchema(value: unknown): JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonSchema) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
