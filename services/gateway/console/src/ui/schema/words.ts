import { visible } from "../visible.ts";
import type { Field } from "./field.ts";

/** Return what a field is called: its title, unless that only repeats the name of its class; otherwise its name. */
export function labelOf(field: Field, name: string): string {
  return visible(field.title ?? worded(name));
}

/** Return an option of a list of choices in words. */
export function optionWord(option: unknown): string {
  return visible(typeof option === "string" ? option : JSON.stringify(option));
}

function worded(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
