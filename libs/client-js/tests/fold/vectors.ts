/** The vectors that every fold must agree with: a log's events, and the state they add up to. */
import { readdirSync, readFileSync } from "node:fs";
import type { Recorded, State } from "../../src/fold/index.js";

const GOLDEN = new URL("../../../../tests/golden/fold/", import.meta.url);

export interface Vector {
  readonly name: string;
  readonly events: readonly Recorded[];
  readonly state: State;
}

export const VECTORS: readonly Vector[] = readdirSync(GOLDEN)
  .filter((file) => file.endsWith(".json"))
  .map((file) => ({
    name: file.replace(".json", ""),
    ...JSON.parse(readFileSync(new URL(file, GOLDEN), "utf8")),
  }));

export function vector(name: string): Vector {
  const found = VECTORS.find((it) => it.name === name);
  if (!found) throw new Error(`no vector '${name}'`);
  return found;
}

let last = 0;

/** An event of the run `r`, one seq after the event made before it. */
export function made(type: string, data: object = {}, where: object = { run_id: "r", attempt: 1 }): Recorded {
  last++;
  return { v: 1, seq: last, type, session_id: "s", ts: "2026-11-21T09:00:00.000Z", ...where, data } as Recorded;
}
