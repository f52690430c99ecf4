/** Which workflows can be started with one text, and what that text becomes. */

import { fieldOf, type JsonSchema } from "../../ui/schema/field.ts";
import { visible } from "../../ui/visible.ts";

export interface Quick {
  /** What the text is, for its label. */
  readonly label: string;
  /** Where it stands in the input: the errors about it point there. */
  readonly pointer: string;
  toInput(text: string): unknown;
}

/** Return how one text becomes a workflow's input; null when more than a text is needed. */
export function quickInput(schema: JsonSchema | null | undefined): Quick | null {
  if (!schema) return null;
  const field = fieldOf(schema);
  if (field.kind === "string")
    return { label: visible(field.title ?? "Input"), pointer: "/input", toInput: (text) => text };
  if (field.kind !== "object") return null;
  const needed = field.properties.filter((property) => property.required);
  const only = needed[0] ?? (field.properties.length === 1 ? field.properties[0] : undefined);
  if (needed.length > 1 || only?.field.kind !== "string") return null;
  const { name } = only;
  return {
    label: visible(only.field.description ?? only.field.title ?? name.replaceAll("_", " ")),
    pointer: `/input/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    toInput: (text) => ({ [name]: text }),
  };
}
