import { useState } from "react";
import { StatusBadge } from "../../ui/Badge.tsx";
import { Button } from "../../ui/Button.tsx";
import { formatCount } from "../../ui/format.ts";
import { visible } from "../../ui/visible.ts";
import type { Selection } from "../contract.ts";
import { moment } from "./format.ts";
import type { Model } from "./model.ts";
import type { Span } from "./spans.ts";
import { KINDS, lasted, nameOf } from "./words.ts";

/** A table of more rows than this is read in pages: five hundred rows are made in a blink. */
const PAGE_ROWS = 200;

interface SpanTableProps {
  readonly model: Model;
  readonly now: number;
  readonly selectedId: string | null;
  onSelect(selection: Selection): void;
}

/** The same as the picture, in words and numbers. */
export function SpanTable({ model, now, selectedId, onSelect }: SpanTableProps) {
  const [shown, setShown] = useState(PAGE_ROWS);
  const workflows = new Map(model.spans.runs.map((run) => [run.run_id ?? "", run.workflow ?? "run"]));
  const severalRuns = workflows.size > 1;
  const spans: Span[] = [...model.spans.spans].sort((a, b) => a.start - b.start);
  return (
    <section className="tl-table" aria-label="Timeline as a table">
      <table>
        <thead>
          <tr>
            <th scope="col">Start</th>
            <th scope="col">What</th>
            <th scope="col">Who</th>
            <th scope="col">Took</th>
            <th scope="col">Status</th>
            {severalRuns && <th scope="col">Run</th>}
          </tr>
        </thead>
        <tbody>
          {spans.slice(0, shown).map((span) => (
            <tr key={span.id} className={span.id === selectedId ? "tl-row-selected" : undefined}>
              <td className="tl-num">{moment(span.start)}</td>
              <th scope="row">
                <button type="button" onClick={() => onSelect(span.target)}>
                  <span className="tl-cell-kind">{KINDS[span.kind]}</span> {nameOf(span)}
                </button>
                {span.error !== null && <span className="tl-cell-error">{visible(span.error.slice(0, 160))}</span>}
              </th>
              <td className="tl-wrap">{whoOf(span)}</td>
              <td className="tl-num">{lasted(span, now)}</td>
              <td>
                <StatusBadge status={span.status} />
              </td>
              {severalRuns && <td>{visible(workflows.get(span.runId) ?? "")}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {spans.length > shown && (
        <p className="tl-more">
          {formatCount(shown)} of {formatCount(spans.length)}{" "}
          <Button size="sm" onClick={() => setShown(shown + PAGE_ROWS)}>
            Show more
          </Button>
        </p>
      )}
    </section>
  );
}

function whoOf({ agent, lane }: Span): string {
  if (agent === null) return visible(lane ?? "");
  return visible(lane === null || agent.includes(lane) ? agent : `${agent} · ${lane}`);
}
