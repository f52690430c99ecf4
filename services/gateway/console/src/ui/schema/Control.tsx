/** One control: a field's input, whatever its kind. */

import type { Draft } from "./draft.ts";
import type { BooleanField, EnumField, JsonField, NumberField, StringField } from "./field.ts";
import { controlId } from "./form.ts";
import { optionWord } from "./words.ts";

export interface ControlProps {
  readonly form: string;
  readonly errors: ReadonlyMap<string, string>;
  readonly disabled: boolean;
  readonly at: string;
  readonly required: boolean;
  readonly field: StringField | NumberField | BooleanField | EnumField | JsonField;
  readonly draft: Draft;
  onDraft(draft: Draft): void;
  touch(pointer: string): void;
}

// What may be longer than a line gets more than one.
const LINE_LENGTH_MAX = 200;

const INPUT_TYPES: Readonly<Record<string, string>> = {
  email: "email",
  uri: "url",
  date: "date",
  password: "password",
};

/** The input of a field that is no group of others. */
export function Control({ form, errors, at, required, field, draft, onDraft, touch }: ControlProps) {
  const id = controlId(form, at);
  const shared = {
    id,
    "aria-invalid": errors.has(at),
    "aria-required": required,
    "aria-describedby": `${id}-help ${id}-error`,
    onBlur: () => touch(at),
  };
  switch (field.kind) {
    case "boolean":
      if (draft === undefined || field.nullable) {
        return (
          <select
            {...shared}
            className="field-input"
            value={draft === undefined ? "" : String(draft)}
            onChange={(event) => onDraft(event.target.value === "" ? undefined : event.target.value === "true")}
          >
            <option value="">–</option>
            <option value="true">Yes</option>
            <option value="false">No</option>
          </select>
        );
      }
      return (
        <input
          {...shared}
          type="checkbox"
          className="field-check"
          checked={draft === true}
          onChange={(event) => onDraft(event.target.checked)}
        />
      );
    case "enum":
      return (
        <select
          {...shared}
          className="field-input"
          value={String(draft)}
          onChange={(event) => onDraft(event.target.value)}
        >
          {(!required || field.nullable || draft === "") && <option value="">–</option>}
          {field.options.map((option, index) => (
            <option key={JSON.stringify(option)} value={index}>
              {optionWord(option)}
            </option>
          ))}
        </select>
      );
    case "number":
      return (
        <input
          {...shared}
          className="field-input field-number"
          type="text"
          inputMode={field.integer && (field.minimum ?? -1) >= 0 ? "numeric" : "decimal"}
          autoComplete="off"
          value={String(draft ?? "")}
          onChange={(event) => onDraft(event.target.value)}
        />
      );
    case "json":
      return (
        <textarea
          {...shared}
          className="field-input field-json"
          rows={4}
          spellCheck={false}
          placeholder="JSON"
          value={String(draft ?? "")}
          onChange={(event) => onDraft(event.target.value)}
        />
      );
    case "string": {
      const text = {
        ...shared,
        className: "field-input",
        autoComplete: "off",
        placeholder: field.format === "date-time" ? "2026-01-31T18:00:00Z" : field.example,
        value: String(draft ?? ""),
      };
      const long = field.format === undefined && (field.maxLength ?? Number.POSITIVE_INFINITY) > LINE_LENGTH_MAX;
      if (long) return <textarea {...text} rows={3} onChange={(event) => onDraft(event.target.value)} />;
      return (
        <input
          {...text}
          type={INPUT_TYPES[field.format ?? ""] ?? "text"}
          onChange={(event) => onDraft(event.target.value)}
        />
      );
    }
  }
}
