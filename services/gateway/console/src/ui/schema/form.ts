/** A form made of a schema: what it holds, what is wrong with it, and what becomes of it. */

import type { FieldError } from "@holdfast/client";
import { useCallback, useId, useLayoutEffect, useMemo, useRef, useState } from "react";
import { collect, type Draft, draftOf, type Errors, NOTHING } from "./draft.ts";
import { type Field, fieldOf, type JsonSchema } from "./field.ts";

export type Checked = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

export interface SchemaFormState {
  readonly id: string;
  readonly field: Field;
  readonly draft: Draft;
  /** Shown by pointer: those of touched fields, all of them once it was to be sent, and the server's. */
  readonly errors: Errors;
  /** Whether it is filled in as raw JSON. */
  readonly raw: boolean;
  readonly rawDraft: string;
  setDraft(draft: Draft): void;
  /** A field was left: from now on it says what is wrong with it. */
  touch(pointer: string): void;
  setRaw(raw: boolean): void;
  setRawDraft(text: string): void;
  /** Return the value, or show what is wrong and move the focus there. */
  check(): Checked;
  /**
   * Show what the server said of the value: `errors` of a problem document, whose pointers begin with `prefix`
   * (`/input` of a new run, `/value` of an answer). Returns those that aren't about it.
   */
  refuse(errors: readonly FieldError[], prefix: string): readonly FieldError[];
  reset(value?: unknown): void;
}

const RAW: Field = {
  kind: "json",
  title: undefined,
  description: undefined,
  nullable: true,
  hasDefault: false,
  default: undefined,
};

/** Hold a form of `schema`, empty or with a value. Another schema is another form: give the component a key. */
export function useSchemaForm(schema: JsonSchema | null | undefined, initial?: unknown): SchemaFormState {
  const id = useId();
  const field = useMemo(() => fieldOf(schema), [schema]);
  const [draft, setDraftState] = useState<Draft>(() => draftOf(field, initial));
  const [raw, setRawState] = useState(false);
  const [rawDraft, setRawDraftState] = useState("");
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [tried, setTried] = useState(false);
  const [refused, setRefused] = useState<Errors>(new Map());

  const found = useMemo(() => {
    const errors = new Map<string, string>();
    const value = raw ? collect(RAW, rawDraft, true, "", errors) : collect(field, draft, true, "", errors);
    return { errors, value: value === NOTHING ? null : value };
  }, [field, draft, raw, rawDraft]);

  const errors = useMemo(() => {
    const shown = new Map(refused);
    for (const [pointer, detail] of found.errors) if (tried || touched.has(pointer)) shown.set(pointer, detail);
    return shown;
  }, [found, refused, touched, tried]);

  const setDraft = useCallback((next: Draft) => {
    setDraftState(next);
    setRefused(new Map()); // it was said of another value
  }, []);
  const touch = useCallback(
    (pointer: string) => setTouched((all) => (all.has(pointer) ? all : new Set(all).add(pointer))),
    [],
  );

  const latest = useRef({ found, field });
  useLayoutEffect(() => {
    latest.current = { found, field };
  });

  const setRaw = useCallback((next: boolean) => {
    const { value } = latest.current.found;
    if (next) setRawDraftState(value === null ? "" : JSON.stringify(value, null, 2));
    else setDraftState(draftOf(latest.current.field, value ?? undefined));
    setRawState(next);
    setTried(false);
    setRefused(new Map());
  }, []);

  const check = useCallback((): Checked => {
    const { errors: wrong, value } = latest.current.found;
    setTried(true);
    const [first] = wrong.keys();
    if (first === undefined) return { ok: true, value };
    focusField(id, first);
    return { ok: false };
  }, [id]);

  const refuse = useCallback(
    (given: readonly FieldError[], prefix: string) => {
      const about = given.filter((error) => error.pointer === prefix || error.pointer.startsWith(`${prefix}/`));
      setRefused(new Map(about.map((error) => [error.pointer.slice(prefix.length), error.detail])));
      if (about[0]) focusField(id, about[0].pointer.slice(prefix.length));
      return given.filter((error) => !about.includes(error));
    },
    [id],
  );

  const reset = useCallback((value?: unknown) => {
    setDraftState(draftOf(latest.current.field, value));
    setRawDraftState("");
    setTouched(new Set());
    setTried(false);
    setRefused(new Map());
  }, []);

  const setRawDraft = useCallback((text: string) => {
    setRawDraftState(text);
    setRefused(new Map());
  }, []);

  return { id, field, draft, errors, raw, rawDraft, setDraft, touch, setRaw, setRawDraft, check, refuse, reset };
}

/** Return the id of a field's control. */
export function controlId(form: string, pointer: string): string {
  return `${form}${pointer || "/"}`;
}

// After the errors are drawn: what is read out with the field has to be there by then. A field that has no control of
// its own (an item that was said to be missing) is stood in for by the nearest that has one.
function focusField(form: string, pointer: string): void {
  requestAnimationFrame(() => {
    for (let at = pointer; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const control = document.getElementById(controlId(form, at));
      if (control !== null) {
        control.focus();
        return;
      }
      if (at === "") return;
    }
  });
}
