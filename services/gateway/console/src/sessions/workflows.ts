/** What can be run. */

import type { WorkflowView } from "@holdfast/client";
import { useState } from "react";
import { useClient } from "../app/client.ts";
import { usePoll } from "../ui/poll.ts";
import { sentence } from "./list.ts";

// While somebody fills a form in, a worker may come or go.
const EVERY_MS = 5_000;

export interface WorkflowsShown {
  /** One per name: the version that a run would get. Null until the first answer. */
  readonly items: readonly WorkflowView[] | null;
  readonly problem: string | null;
}

/** Keep the list of workflows. */
export function useWorkflows(): WorkflowsShown {
  const client = useClient();
  const [shown, setShown] = useState<WorkflowsShown>({ items: null, problem: null });
  usePoll(
    async (signal) => {
      try {
        const { items } = await client.workflows({ signal });
        setShown({ items: onePerName(items), problem: null });
        return true;
      } catch (error) {
        if (!signal.aborted) setShown((before) => ({ ...before, problem: sentence(error) }));
        return false;
      }
    },
    EVERY_MS,
    "",
  );
  return shown;
}

/** Of several versions keep the one that can run and that live workers have. */
export function onePerName(items: readonly WorkflowView[]): readonly WorkflowView[] {
  const best = new Map<string, WorkflowView>();
  for (const item of items) {
    const known = best.get(item.name);
    if (known === undefined || rank(item) >= rank(known)) best.set(item.name, item);
  }
  return [...best.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function rank(item: WorkflowView): number {
  return (item.load_error === null ? 2 : 0) + (item.workers.length > 0 ? 1 : 0);
}
