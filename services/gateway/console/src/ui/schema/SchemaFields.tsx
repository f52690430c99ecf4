/** The fields of a form that is made of a schema. */

import { type ReactNode, useMemo } from "react";
import { Button, IconButton } from "../Button.tsx";
import { Icon } from "../Icon.tsx";
import { Text } from "../Text.tsx";
import { Control, type ControlProps } from "./Control.tsx";
import { below, type Draft, type DraftChoice, type DraftItem, draftItem, draftOf } from "./draft.ts";
import type { ArrayField, ChoiceField, Field, ObjectField } from "./field.ts";
import { controlId, type SchemaFormState } from "./form.ts";
import { labelOf } from "./words.ts";
import "./SchemaFields.css";

interface SchemaFieldsProps {
  readonly form: SchemaFormState;
  readonly disabled?: boolean;
  /** What the raw JSON is, for its label. */
  readonly label?: string;
}

/** Every field of the form, or one for raw JSON; people may change between the two. */
export function SchemaFields({ form, disabled = false, label = "Input" }: SchemaFieldsProps) {
  const onlyRaw = form.field.kind === "json";
  const shared = useMemo(
    () => ({ form: form.id, errors: form.errors, touch: form.touch, disabled }),
    [form.id, form.errors, form.touch, disabled],
  );
  const empty = form.field.kind === "object" && form.field.properties.length === 0;
  return (
    <fieldset className="schema" disabled={disabled}>
      <legend className="visually-hidden">{label}</legend>
      {!onlyRaw && !empty && (
        <div className="schema-mode">
          <Button size="sm" tone="quiet" aria-pressed={form.raw} onClick={() => form.setRaw(!form.raw)}>
            {form.raw ? "As a form" : "As JSON"}
          </Button>
        </div>
      )}
      {form.raw || onlyRaw ? (
        <Labelled {...shared} at="" label={`${label} (JSON)`} required={false} help={form.field.description}>
          <textarea
            id={controlId(form.id, "")}
            className="field-input field-json"
            rows={8}
            spellCheck={false}
            value={form.raw ? form.rawDraft : String(form.draft ?? "")}
            aria-invalid={form.errors.has("")}
            aria-describedby={`${controlId(form.id, "")}-error`}
            onChange={(event) => (form.raw ? form.setRawDraft(event.target.value) : form.setDraft(event.target.value))}
            onBlur={() => form.touch("")}
          />
        </Labelled>
      ) : empty ? (
        <p className="field-help">It takes no input.</p>
      ) : (
        <AnyField {...shared} field={form.field} draft={form.draft} at="" required onDraft={form.setDraft} top />
      )}
    </fieldset>
  );
}

interface AnyFieldProps extends Omit<ControlProps, "field"> {
  readonly field: Field;
  readonly label?: string;
  readonly top?: boolean;
}

function AnyField(props: AnyFieldProps) {
  const { field } = props;
  switch (field.kind) {
    case "object":
      return <ObjectFields {...props} field={field} />;
    case "array":
      return <ArrayFields {...props} field={field} />;
    case "choice":
      return <ChoiceFields {...props} field={field} />;
    default:
      return (
        <Labelled
          {...props}
          label={props.label ?? labelOf(field, "Value")}
          help={field.description}
          inline={field.kind === "boolean" && props.draft !== undefined}
        >
          <Control {...props} field={field} />
        </Labelled>
      );
  }
}

function ObjectFields({ field, draft, onDraft, top, ...props }: AnyFieldProps & { readonly field: ObjectField }) {
  const values = draft as { readonly [name: string]: Draft } | undefined;
  const inside =
    values !== undefined &&
    field.properties.map(({ name, required, field: property }) => (
      <AnyField
        key={name}
        {...props}
        field={property}
        label={labelOf(property, name)}
        draft={values[name]}
        at={below(props.at, name)}
        required={required}
        onDraft={(next) => onDraft({ ...values, [name]: next })}
      />
    ));
  if (top) return <div className="schema-fields">{inside}</div>;
  return (
    <Group {...props} label={props.label ?? labelOf(field, "Fields")} help={field.description}>
      {inside}
      {!props.required &&
        (values === undefined ? (
          <AddButton onClick={() => onDraft(draftOf(field, undefined, true))}>Fill in</AddButton>
        ) : (
          <Button size="sm" tone="quiet" onClick={() => onDraft(undefined)}>
            Leave out
          </Button>
        ))}
    </Group>
  );
}

function ArrayFields({ field, draft, onDraft, ...props }: AnyFieldProps & { readonly field: ArrayField }) {
  const list = Array.isArray(draft) ? (draft as readonly DraftItem[]) : [];
  const name = props.label ?? labelOf(field, "Items");
  return (
    <Group {...props} label={name} help={field.description}>
      {list.map((item, index) => (
        <div key={item.id} className="schema-item">
          <AnyField
            {...props}
            field={field.items}
            label={`${index + 1}`}
            draft={item.draft}
            at={below(props.at, index)}
            required
            onDraft={(next) => onDraft(list.map((one) => (one === item ? { ...one, draft: next } : one)))}
          />
          <IconButton
            size="sm"
            label={`Remove item ${index + 1} of ${name}`}
            onClick={() => onDraft(list.filter((one) => one !== item))}
          >
            <Icon name="close" size={14} />
          </IconButton>
        </div>
      ))}
      {(field.maxItems === undefined || list.length < field.maxItems) && (
        <AddButton
          id={controlId(props.form, props.at)}
          onClick={() => onDraft([...list, draftItem(draftOf(field.items))])}
        >
          Add
        </AddButton>
      )}
    </Group>
  );
}

function ChoiceFields({ field, draft, onDraft, ...props }: AnyFieldProps & { readonly field: ChoiceField }) {
  const choice = draft as DraftChoice | undefined;
  const variant = choice && field.variants[choice.variant];
  const name = props.label ?? labelOf(field, "Value");
  const choose = (text: string) => {
    const chosen = field.variants[Number(text)];
    onDraft(text === "" || chosen === undefined ? undefined : { variant: Number(text), draft: draftOf(chosen) });
  };
  return (
    <Group {...props} label={name} help={field.description}>
      <select
        className="field-input"
        aria-label={`Kind of ${name}`}
        value={choice === undefined ? "" : String(choice.variant)}
        onChange={(event) => choose(event.target.value)}
      >
        {(!props.required || field.nullable || choice === undefined) && <option value="">–</option>}
        {field.variants.map((one, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: variants have nothing but their place, and keep it
          <option key={`${index}-${one.kind}`} value={index}>
            {labelOf(one, one.kind)}
          </option>
        ))}
      </select>
      {choice !== undefined && variant !== undefined && (
        <AnyField
          {...props}
          field={variant}
          label={labelOf(variant, "Value")}
          draft={choice.draft}
          onDraft={(next) => onDraft({ ...choice, draft: next })}
        />
      )}
    </Group>
  );
}

interface LabelledProps {
  readonly form: string;
  readonly at: string;
  readonly errors: ReadonlyMap<string, string>;
  readonly label: string;
  readonly help: string | undefined;
  readonly required: boolean;
  readonly inline?: boolean;
  readonly children: ReactNode;
}

function Labelled({ form, at, errors, label, help, required, inline = false, children }: LabelledProps) {
  const id = controlId(form, at);
  return (
    <div className={inline ? "field field-inline" : "field"}>
      <label className="field-label" htmlFor={id}>
        <Text>{label}</Text>
        {required && !inline && (
          <span className="field-required" title="required">
            <span aria-hidden="true">*</span>
            <span className="visually-hidden"> (required)</span>
          </span>
        )}
      </label>
      {children}
      {help !== undefined && (
        <p className="field-help" id={`${id}-help`}>
          <Text>{help}</Text>
        </p>
      )}
      <ErrorLine id={`${id}-error`} detail={errors.get(at)} />
    </div>
  );
}

function Group({ form, at, errors, label, help, required, children }: LabelledProps) {
  const id = controlId(form, at);
  return (
    <fieldset className="schema-group">
      <legend className="field-label">
        <Text>{label}</Text>
        {required && <span className="visually-hidden"> (required)</span>}
      </legend>
      {help !== undefined && (
        <p className="field-help">
          <Text>{help}</Text>
        </p>
      )}
      <div className="schema-fields">{children}</div>
      <ErrorLine id={`${id}-error`} detail={errors.get(at)} />
    </fieldset>
  );
}

function ErrorLine({ id, detail }: { readonly id: string; readonly detail: string | undefined }) {
  return (
    <p className="field-error" id={id} hidden={detail === undefined}>
      {detail !== undefined && <Text>{detail}</Text>}
    </p>
  );
}

function AddButton({
  id,
  onClick,
  children,
}: {
  readonly id?: string;
  readonly onClick: () => void;
  readonly children: string;
}) {
  return (
    <Button
      id={id}
      size="sm"
      tone="quiet"
      className="schema-add"
      icon={<Icon name="plus" size={14} />}
      onClick={onClick}
    >
      {children}
    </Button>
  );
}
