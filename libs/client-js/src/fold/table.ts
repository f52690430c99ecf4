/** Entries of one kind by key, in order of first appearance. */

import { gained } from "./weight.js";

/** A table forgets its oldest entry beyond this and counts it: the server's bound. */
export const ENTRIES_MAX = 10_000;

/** An entry's key as a Map can have it: several fields are one string that no other combination gives. */
export const keyOf = (...parts: unknown[]): unknown => (parts.length > 1 ? JSON.stringify(parts) : parts[0]);

/**
 * Entries are never changed in place: `put` replaces the one that has the entry's key, where it stands. Those that
 * something may still happen to also stand in `open`, so that ending a run doesn't look through its whole history.
 */
export class Table<E extends { readonly run_id: string | null }> {
  readonly all = new Map<unknown, E>();
  readonly open = new Map<unknown, E>();
  forgotten = 0;
  weight = 0;
  #list: readonly E[] | null = null;

  constructor(
    readonly key: readonly (keyof E)[],
    readonly isOpen: (entry: E) => boolean,
  ) {}

  get(...key: unknown[]): E | undefined {
    return this.all.get(keyOf(...key));
  }

  /** Every entry; the same array until one changes. */
  get list(): readonly E[] {
    this.#list ??= [...this.all.values()];
    return this.#list;
  }

  put(entry: E): void {
    const key = keyOf(...this.key.map((name) => entry[name]));
    this.#list = null;
    this.weight += gained(entry, this.all.get(key));
    this.all.set(key, entry);
    if (this.isOpen(entry)) this.open.set(key, entry);
    else this.open.delete(key);
    if (this.all.size > ENTRIES_MAX) this.forget();
  }

  /** Lets the oldest entry go, and counts it. */
  forget(): void {
    this.drop(this.all.keys().next().value);
    this.forgotten++;
  }

  /** Takes out the entry of this key (see `keyOf`), if it is there. */
  drop(key: unknown): void {
    const entry = this.all.get(key);
    if (!entry) return;
    this.#list = null;
    this.weight -= gained(entry, undefined);
    this.all.delete(key);
    this.open.delete(key);
  }

  /** The open entries of a run. */
  openOf(run: string | null): E[] {
    return [...this.open.values()].filter((entry) => entry.run_id === run);
  }

  clear(): void {
    this.#list = null;
    this.all.clear();
    this.open.clear();
    this.forgotten = 0;
    this.weight = 0;
  }
}
