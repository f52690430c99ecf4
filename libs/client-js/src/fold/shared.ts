/** The state that agents share: keys in the order in which they came, and the object that readers see. */

import type { Json, State } from "./entries.js";
import { weight } from "./weight.js";

/** One snapshot event (256 KiB) must hold the shared state whole, so a real one is smaller, and weighs less. */
export const SHARED_KEYS_MAX = 10_000;
export const SHARED_WEIGHT_MAX = 4 * 256 * 1024;

export class Shared {
  readonly #values = new Map<string, Json>();
  #object: State["shared"] | null = null;
  #weight = 0;

  /** The same object until a key changes. */
  get object(): State["shared"] {
    // fromEntries, not assignment: a key may be called `__proto__`.
    this.#object ??= Object.fromEntries(this.#values);
    return this.#object;
  }

  /**
   * Sets keys; beyond the bound the oldest go. (Of keys that came with one event, those that look like numbers count
   * as the oldest: JavaScript has no other order of them.)
   */
  set(values: State["shared"]): void {
    this.#object = null;
    for (const [key, value] of Object.entries(values)) {
      const had = this.#values.get(key);
      this.#weight += had === undefined ? key.length + weight(value) : weight(value) - weight(had);
      this.#values.set(key, value);
    }
    for (const key of this.#values.keys()) {
      if (this.#values.size <= SHARED_KEYS_MAX && this.#weight <= SHARED_WEIGHT_MAX) return;
      this.#delete(key);
    }
  }

  /** Sets keys, null removes one. */
  update(changes: State["shared"]): void {
    const all = Object.entries(changes);
    for (const [key, value] of all) if (value === null) this.#delete(key);
    this.set(Object.fromEntries(all.filter(([, value]) => value !== null)));
  }

  clear(): void {
    this.#object = null;
    this.#values.clear();
    this.#weight = 0;
  }

  #delete(key: string): void {
    const value = this.#values.get(key);
    if (value !== undefined && this.#values.delete(key)) this.#weight -= key.length + weight(value);
  }
}
