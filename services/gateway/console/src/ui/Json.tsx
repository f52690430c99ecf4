import { memo, useState } from "react";
import { classes } from "./classes.ts";
import { formatCount } from "./format.ts";
import { Icon } from "./Icon.tsx";
import { Text } from "./Text.tsx";
import "./Json.css";

interface JsonProps {
  readonly value: unknown;
  /** How many levels are open at first. */
  readonly depth?: number;
  readonly className?: string;
}

// A list of 100,000 numbers must not become 100,000 elements at a click.
const CHILDREN_STEP = 100;

// Deeper than any event; what is deeper yet is shown as text.
const DEPTH_MAX = 64;

const TEXT_SHOWN = 400;

/** Any JSON value as a tree: objects and lists open at a click, long texts and long lists in portions. */
export const Json = memo(function Json({ value, depth = 1, className }: JsonProps) {
  return (
    <div className={classes("json", className)}>
      <Node value={value} open={depth} level={0} />
    </div>
  );
});

interface NodeProps {
  readonly name?: string;
  readonly value: unknown;
  readonly open: number;
  readonly level: number;
}

function Node({ name, value, open, level }: NodeProps) {
  const entries = entriesOf(value);
  if (entries === null || level >= DEPTH_MAX) {
    return (
      <div className="json-line json-leaf">
        <Name name={name} />
        <Leaf value={entries === null ? value : JSON.stringify(value)} />
      </div>
    );
  }
  return <Branch name={name} entries={entries} list={Array.isArray(value)} open={open} level={level} />;
}

interface BranchProps extends Omit<NodeProps, "value"> {
  readonly name: string | undefined;
  readonly entries: readonly (readonly [string, unknown])[];
  readonly list: boolean;
}

function Branch({ name, entries, list, open, level }: BranchProps) {
  const [isOpen, setOpen] = useState(open > level && entries.length > 0);
  const [shown, setShown] = useState(CHILDREN_STEP);
  const [before, after] = list ? "[]" : "{}";
  return (
    <div className="json-branch">
      <button
        type="button"
        className="json-line json-toggle"
        aria-expanded={isOpen}
        disabled={entries.length === 0}
        onClick={() => setOpen(!isOpen)}
      >
        <span className={classes("json-arrow", isOpen && "json-arrow-open")}>
          {entries.length > 0 && <Icon name="chevronRight" size={12} />}
        </span>
        <Name name={name} />
        <span className="json-mark">
          {before}
          {!isOpen && entries.length > 0 && "…"}
          {!isOpen && after}
        </span>
        {!isOpen && entries.length > 0 && <span className="json-size">{formatCount(entries.length)}</span>}
      </button>
      {isOpen && (
        <div className="json-children">
          {entries.slice(0, shown).map(([key, child]) => (
            <Node key={key} name={key} value={child} open={open} level={level + 1} />
          ))}
          {entries.length > shown && (
            <button type="button" className="text-more" onClick={() => setShown(shown + 10 * CHILDREN_STEP)}>
              … {formatCount(entries.length - shown)} more
            </button>
          )}
        </div>
      )}
      {isOpen && <div className="json-line json-mark json-end">{after}</div>}
    </div>
  );
}

function Name({ name }: { readonly name?: string | undefined }) {
  if (name === undefined) return null;
  return (
    <span className="json-key">
      <Text>{name}</Text>
      <span className="json-mark">: </span>
    </span>
  );
}

function Leaf({ value }: { readonly value: unknown }) {
  if (typeof value === "string") {
    return (
      <span className="json-string">
        <Text pre limit={TEXT_SHOWN}>
          {value === "" ? "“”" : value}
        </Text>
      </span>
    );
  }
  if (typeof value === "number") return <span className="json-number">{String(value)}</span>;
  return <span className="json-word">{String(value)}</span>;
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] | null {
  if (typeof value !== "object" || value === null) return null;
  return Object.entries(value);
}
