/**
 * Keys that do something on the page that is shown. A part says which while it is mounted; the list of all of them is
 * the help. Keys meant for a field, a button or a dialog stay theirs.
 */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Shortcut {
  /** As `KeyboardEvent.key` names it, with `Shift+` before it where that matters: `j`, `?`, `Space`, `Shift+ArrowLeft`. */
  readonly keys: string;
  readonly label: string;
  readonly group: string;
}

interface Registered extends Shortcut {
  readonly run: (event: KeyboardEvent) => void;
}

let registered: readonly Registered[] = [];
const listeners = new Set<() => void>();

function change(next: readonly Registered[]): void {
  registered = next;
  for (const listener of listeners) listener();
}

/** Bind keys while the calling component is mounted and `enabled`; of two for the same keys the later one wins. */
export function useShortcut(
  keys: string | readonly string[],
  label: string,
  run: (event: KeyboardEvent) => void,
  options: { group?: string; enabled?: boolean } = {},
): void {
  const { group = "This page", enabled = true } = options;
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  const joined = typeof keys === "string" ? keys : keys.join(" ");
  useEffect(() => {
    if (!enabled) return;
    const mine: Registered[] = joined
      .split(" ")
      .map((key) => ({ keys: key, label, group, run: (event) => latest.current(event) }));
    change([...registered, ...mine]);
    return () => change(registered.filter((item) => !mine.includes(item)));
  }, [joined, label, group, enabled]);
}

/** Every shortcut of the page that is shown. */
export function useShortcuts(): readonly Shortcut[] {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => registered,
  );
}

/** Listen for keys; returns what ends it. Called once, by the shell. */
export function listenForShortcuts(): () => void {
  const pressed = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const key = event.key === " " ? "Space" : event.key;
    if (isTheirs(event.target, key)) return;
    const wanted = event.shiftKey && key.length > 1 ? `Shift+${key}` : key;
    const found = registered.findLast((item) => item.keys === wanted);
    if (!found) return;
    event.preventDefault();
    found.run(event);
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}

const FIELDS = "input, textarea, select, [contenteditable='true']";
const PRESSABLE = "button, a[href], summary, [role='button'], [role='tab'], [role='option'], [role='switch']";
const MOVABLE = "[role='tab'], [role='slider'], [role='radio'], [role='option'], [role='tree'], [role='treeitem']";

function isTheirs(target: EventTarget | null, key: string): boolean {
  if (document.querySelector("dialog:modal") !== null) return true;
  if (!(target instanceof Element)) return false;
  if (target.closest(FIELDS)) return true;
  if ((key === "Enter" || key === "Space") && target.closest(PRESSABLE)) return true;
  return key.startsWith("Arrow") && target.closest(MOVABLE) !== null;
}
