import { HoldfastError } from "@holdfast/client";
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Button } from "./Button.tsx";
import { classes } from "./classes.ts";
import type { JsonSchema } from "./schema/field.ts";
import { useSchemaForm } from "./schema/form.ts";
import { SchemaFields } from "./schema/SchemaFields.tsx";
import { Text } from "./Text.tsx";

export type { JsonSchema } from "./schema/field.ts";
export { type SchemaFormState, useSchemaForm } from "./schema/form.ts";
export { SchemaFields } from "./schema/SchemaFields.tsx";

interface SchemaFormProps {
  /** JSON Schema of the value; without one, any JSON is taken. */
  readonly schema: JsonSchema | null | undefined;
  readonly initial?: unknown;
  /** Sends the value. What it throws is shown: a problem document's errors at their fields. */
  readonly onSubmit: (value: unknown) => Promise<void>;
  /** Where the value stands in the request: `/input` of a new run, `/value` of an answer. */
  readonly pointer: string;
  readonly submitLabel: string;
  /** What the value is, for labels. */
  readonly label?: string;
  readonly disabled?: boolean;
  /** Beside the button. */
  readonly actions?: ReactNode;
  readonly className?: string;
}

/** A whole form, made of a schema: fields, what is wrong with them, and the button. */
export function SchemaForm({ schema, initial, onSubmit, pointer, submitLabel, label, ...rest }: SchemaFormProps) {
  const form = useSchemaForm(schema, initial);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const send = async (event: FormEvent) => {
    event.preventDefault();
    const checked = form.check();
    if (!checked.ok || busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await onSubmit(checked.value);
    } catch (error) {
      setProblem(refusal(error, form.refuse, pointer));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form className={classes("schema-form", rest.className)} onSubmit={send} noValidate>
      <SchemaFields form={form} label={label ?? "Input"} disabled={rest.disabled ?? false} />
      <ProblemLine problem={problem} />
      <div className="schema-form-actions">
        <Button type="submit" tone="primary" busy={busy} disabled={rest.disabled}>
          {submitLabel}
        </Button>
        {rest.actions}
      </div>
    </form>
  );
}

/** Show at the fields what a refusal says of them; return the sentence for what is left, if anything is. */
export function refusal(
  error: unknown,
  refuse: ReturnType<typeof useSchemaForm>["refuse"],
  pointer: string,
): string | null {
  if (!(error instanceof HoldfastError)) return error instanceof Error ? error.message : String(error);
  if (error.errors.length === 0) return error.message;
  const left = refuse(error.errors, pointer);
  if (left.length === 0) return null;
  return left.map((one) => `${one.pointer || one.in}: ${one.detail}`).join("; ");
}

/** What went wrong with the whole of a form. It stands at the end, which may be out of view: then it comes into it. */
export function ProblemLine({ problem }: { readonly problem: string | null }) {
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (problem !== null) line.current?.scrollIntoView({ block: "nearest" });
  }, [problem]);
  return (
    <div ref={line} role="alert" className="field-error schema-form-problem">
      {problem !== null && <Text>{problem}</Text>}
    </div>
  );
}
