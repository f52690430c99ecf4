/** Which row shows what was picked elsewhere on the page. */

import type { Selection } from "../contract.ts";
import { type Item, runOf } from "./items.ts";

/** Return its index, or -1. */
export function placeOf(items: readonly Item[], selection: Selection): number {
  const shows = SHOWS[selection.kind] as (item: Item, selection: Selection) => boolean;
  return items.findIndex((item) => shows(item, selection));
}

type Picked<Kind extends Selection["kind"]> = Extract<Selection, { kind: Kind }>;

const SHOWS: { readonly [kind in Selection["kind"]]: (item: Item, selection: Picked<kind>) => boolean } = {
  message: (item, { message_id }) => item.kind === "message" && item.entry.message_id === message_id,
  tool: (item, { run_id, call_id }) =>
    item.kind === "tool" && item.entry.call_id === call_id && item.entry.run_id === run_id,
  run: (item, { run_id }) => item.kind === "run-started" && item.runId === run_id,
  task: (item, { run_id, task_id }) =>
    item.kind === "plan" && item.runId === run_id && item.tasks.some((task) => task.task_id === task_id),
  agent: (item, { run_id, name, lane }) =>
    runOf(item) === run_id && "entry" in item && item.entry.agent === name && laneOf(item) === lane,
  step: (item, { run_id, key }) => runOf(item) === run_id && stepOf(item) === key,
  // A model call is a part of its step, and its id is made of the step's.
  llm: (item, { run_id, call_id }) => {
    const step = stepOf(item);
    return runOf(item) === run_id && step !== null && call_id.includes(step);
  },
  event: (item, { seq }) => item.key === `event ${seq}`,
};

function laneOf(item: Item): string | null {
  return "entry" in item && "lane" in item.entry ? item.entry.lane : null;
}

function stepOf(item: Item): string | null {
  if (!("entry" in item)) return null;
  return "key" in item.entry ? item.entry.key : "step" in item.entry ? item.entry.step : null;
}
