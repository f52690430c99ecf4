/**
 * What a form holds while it is filled in, and the value that is made of it. A draft may be half a number or nothing
 * yet; it becomes a value, or sentences about what is missing where.
 */

import { formatCount } from "../format.ts";
import type { ArrayField, ChoiceField, Field, NumberField, ObjectField, StringField } from "./field.ts";

export interface DraftItem {
  /** Stays with the item when others before it go. */
  readonly id: number;
  readonly draft: Draft;
}
export interface DraftChoice {
  readonly variant: number;
  readonly draft: Draft;
}

/** Text for strings, numbers and raw JSON, the index of an option as text for enums; undefined is "not there". */
export type Draft =
  | string
  | boolean
  | undefined
  | readonly DraftItem[]
  | { readonly [name: string]: Draft }
  | DraftChoice;

/** JSON pointers below the form's value, and what is wrong there. */
export type Errors = ReadonlyMap<string, string>;

export const NOTHING = Symbol("nothing");

let items = 0;

/** Return a list's item with an identity of its own. */
export function draftItem(draft: Draft): DraftItem {
  items += 1;
  return { id: items, draft };
}

/** Return the draft of a value; without one, of the default, and without that, an empty one. */
export function draftOf(field: Field, given?: unknown, required = true): Draft {
  const value = given === undefined && field.hasDefault ? field.default : given;
  switch (field.kind) {
    case "string":
      return typeof value === "string" ? value : "";
    case "number":
      return typeof value === "number" ? String(value) : "";
    case "boolean":
      if (typeof value === "boolean") return value;
      return required && !field.nullable ? false : undefined;
    case "enum": {
      const index = field.options.findIndex((option) => same(option, value));
      if (index >= 0 && value !== undefined) return String(index);
      return required && field.options.length === 1 ? "0" : "";
    }
    case "array":
      if (Array.isArray(value)) return value.map((item) => draftItem(draftOf(field.items, item)));
      return Array.from({ length: required ? field.minItems : 0 }, () => draftItem(draftOf(field.items)));
    case "object": {
      if (!isRecord(value) && (!required || value === null)) return undefined;
      const from = isRecord(value) ? value : {};
      return Object.fromEntries(
        field.properties.map(({ name, required: needed, field: property }) => [
          name,
          draftOf(property, from[name], needed),
        ]),
      );
    }
    case "choice": {
      if (value === undefined || value === null) {
        const [first] = field.variants;
        return required && first ? { variant: 0, draft: draftOf(first) } : undefined;
      }
      const variant = Math.max(
        0,
        field.variants.findIndex((one) => takes(one, value)),
      );
      const chosen = field.variants[variant];
      return chosen && { variant, draft: draftOf(chosen, value) };
    }
    case "json":
      return value === undefined ? "" : JSON.stringify(value, null, 2);
  }
}

/** Return the value of a draft, NOTHING when it is to be left out, and add what is wrong to `errors`. */
export function collect(
  field: Field,
  draft: Draft,
  required: boolean,
  at: string,
  errors: Map<string, string>,
): unknown {
  switch (field.kind) {
    case "string":
      return stringValue(field, String(draft ?? ""), required, at, errors);
    case "number":
      return numberValue(field, String(draft ?? "").trim(), required, at, errors);
    case "boolean":
      return typeof draft === "boolean" ? draft : absent(field, required, at, errors);
    case "enum":
      return draft === "" || draft === undefined ? absent(field, required, at, errors) : field.options[Number(draft)];
    case "array":
      return arrayValue(field, draft, required, at, errors);
    case "object":
      return objectValue(field, draft, required, at, errors);
    case "choice":
      return choiceValue(field, draft, required, at, errors);
    case "json": {
      const text = String(draft ?? "").trim();
      if (text === "") return absent(field, required, at, errors);
      try {
        return JSON.parse(text);
      } catch (error) {
        errors.set(at, `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
        return NOTHING;
      }
    }
  }
}

/** Return a pointer one level further down (RFC 6901). */
export function below(at: string, name: string | number): string {
  return `${at}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function absent(field: Field, required: boolean, at: string, errors: Map<string, string>): unknown {
  if (field.nullable && (required || (field.hasDefault && field.default !== null))) return null;
  if (required) errors.set(at, "is required");
  return NOTHING;
}

function stringValue(field: StringField, text: string, required: boolean, at: string, errors: Map<string, string>) {
  if (text === "") {
    if (field.nullable || (!required && !field.default)) return absent(field, false, at, errors);
    if (field.minLength > 0) return required ? absent(field, true, at, errors) : NOTHING;
    return "";
  }
  const length = [...text].length; // JSON Schema counts characters, JavaScript halves of them
  if (length < field.minLength) errors.set(at, `has at least ${formatCount(field.minLength)} characters`);
  else if (field.maxLength !== undefined && length > field.maxLength) {
    errors.set(at, `has at most ${formatCount(field.maxLength)} characters, these are ${formatCount(length)}`);
  } else if (field.pattern !== undefined && !matches(field.pattern, text)) {
    errors.set(at, `has to match ${field.pattern}`);
  }
  return text;
}

function numberValue(field: NumberField, text: string, required: boolean, at: string, errors: Map<string, string>) {
  if (text === "") return absent(field, required, at, errors);
  const value = Number(text);
  if (!Number.isFinite(value)) errors.set(at, "is not a number");
  else if (field.integer && !Number.isInteger(value)) errors.set(at, "is a whole number");
  else if (field.minimum !== undefined && value < field.minimum)
    errors.set(at, `is at least ${formatCount(field.minimum)}`);
  else if (field.maximum !== undefined && value > field.maximum)
    errors.set(at, `is at most ${formatCount(field.maximum)}`);
  else if (field.above !== undefined && value <= field.above) errors.set(at, `is above ${formatCount(field.above)}`);
  else if (field.below !== undefined && value >= field.below) errors.set(at, `is below ${formatCount(field.below)}`);
  return value;
}

function arrayValue(field: ArrayField, draft: Draft, required: boolean, at: string, errors: Map<string, string>) {
  const list = Array.isArray(draft) ? (draft as readonly DraftItem[]) : [];
  if (list.length === 0 && !required && !field.hasDefault) return NOTHING;
  if (list.length < field.minItems) errors.set(at, `has at least ${field.minItems} items`);
  if (field.maxItems !== undefined && list.length > field.maxItems)
    errors.set(at, `has at most ${field.maxItems} items`);
  return list.map((item, index) => {
    const value = collect(field.items, item.draft, true, below(at, index), errors);
    return value === NOTHING ? null : value;
  });
}

function objectValue(field: ObjectField, draft: Draft, required: boolean, at: string, errors: Map<string, string>) {
  if (!isRecord(draft)) return absent(field, required, at, errors);
  const value: Record<string, unknown> = {};
  for (const { name, required: needed, field: property } of field.properties) {
    const found = collect(property, draft[name] as Draft, needed, below(at, name), errors);
    if (found !== NOTHING) value[name] = found;
  }
  return value;
}

function choiceValue(field: ChoiceField, draft: Draft, required: boolean, at: string, errors: Map<string, string>) {
  const choice = draft as DraftChoice | undefined;
  const variant = choice && field.variants[choice.variant];
  if (choice === undefined || variant === undefined) return absent(field, required, at, errors);
  // Who chose a kind wants one: leaving it empty is no way of leaving it out.
  return collect(variant, choice.draft, true, at, errors);
}

function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true; // of another dialect: the server judges it
  }
}

function takes(field: Field, value: unknown): boolean {
  switch (field.kind) {
    case "enum":
      return field.options.some((option) => same(option, value));
    case "array":
      return Array.isArray(value);
    case "object":
      return isRecord(value) && Object.keys(value).every((key) => field.properties.some(({ name }) => name === key));
    case "json":
    case "choice":
      return true;
    default:
      return typeof value === field.kind;
  }
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
