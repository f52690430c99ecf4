import { memo, useState } from "react";
import { formatCount } from "../../ui/format.ts";
import { Json } from "../../ui/Json.tsx";
import { Text } from "../../ui/Text.tsx";
import { Markdown } from "./Markdown.tsx";
import { factsOf, tableOf } from "./table.ts";
import "./Value.css";

/** Of a text that somebody else wrote, so much is shown at once. */
const TEXT_SHOWN = 4_000;

/** Rows of a table at once. */
const ROWS_STEP = 50;

interface ValueProps {
  readonly value: unknown;
  /** What it is said to be; nothing else than text, markdown and JSON is known here, and nothing is ever fetched. */
  readonly contentType?: string | null | undefined;
  /** How many levels of a tree are open. */
  readonly depth?: number;
}

/** A value of an application's own: a text as text, flat objects as a table, all else as a tree. */
export const Value = memo(function Value({ value, contentType, depth = 1 }: ValueProps) {
  if (typeof value === "string") {
    if (contentType === "text/markdown" && value.length <= TEXT_SHOWN) return <Markdown text={value} />;
    const parsed = contentType?.endsWith("json") ? parsedOrNull(value) : null;
    if (parsed !== null) return <Value value={parsed} depth={depth} />;
    return (
      <Text pre limit={TEXT_SHOWN} className="value-text">
        {value}
      </Text>
    );
  }
  const table = tableOf(value);
  if (table !== null) return <Table columns={table.columns} rows={table.rows} />;
  const facts = factsOf(value);
  return facts === null ? <Json value={value} depth={depth} /> : <Facts facts={facts} />;
});

function parsedOrNull(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" ? parsed : null;
  } catch {
    return null;
  }
}

function Facts({ facts }: { readonly facts: readonly (readonly [string, unknown])[] }) {
  return (
    <dl className="value-facts">
      {facts.map(([key, value]) => (
        <div key={key}>
          <dt>
            <Text clip>{key}</Text>
          </dt>
          <dd>
            <Cell value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

interface TableProps {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

function Table({ columns, rows }: TableProps) {
  const [shown, setShown] = useState(ROWS_STEP);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <div className="value-table" tabIndex={0} role="group" aria-label={`Table of ${formatCount(rows.length)} rows`}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                <Text>{column}</Text>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a value have nothing but their place
            <tr key={index}>
              {columns.map((column) => (
                <td key={column} className={typeof row[column] === "number" ? "value-number" : undefined}>
                  <Cell value={row[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <button type="button" className="text-more" onClick={() => setShown(shown + 10 * ROWS_STEP)}>
          … {formatCount(rows.length - shown)} more rows
        </button>
      )}
    </div>
  );
}

function Cell({ value }: { readonly value: unknown }) {
  if (value === undefined || value === null) return <span className="value-none">–</span>;
  return (
    <Text pre limit={400}>
      {typeof value === "string" ? value : String(value)}
    </Text>
  );
}
