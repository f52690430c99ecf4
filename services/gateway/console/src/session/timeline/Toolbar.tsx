import { IconButton } from "../../ui/Button.tsx";
import { classes } from "../../ui/classes.ts";
import { Icon } from "../../ui/Icon.tsx";

interface ToolbarProps {
  readonly fitted: boolean;
  readonly open: boolean;
  readonly hasBreaks: boolean;
  readonly folding: boolean;
  readonly table: boolean;
  zoom(factor: number): void;
  fit(): void;
  onFolding(on: boolean): void;
  onTable(on: boolean): void;
}

/** What can be done with the picture. */
export function Toolbar({ fitted, open, hasBreaks, folding, table, zoom, fit, onFolding, onTable }: ToolbarProps) {
  return (
    <div className="tl-tools" role="group" aria-label="View">
      {!table && (
        <>
          <IconButton size="sm" label="Zoom out (−)" onClick={() => zoom(1.6)}>
            <Icon name="minus" />
          </IconButton>
          <IconButton size="sm" label="Zoom in (+)" onClick={() => zoom(1 / 1.6)}>
            <Icon name="plus" />
          </IconButton>
          <button
            type="button"
            className={classes("tl-toggle", fitted && "tl-on")}
            aria-pressed={fitted}
            onClick={fit}
            title="Show all of it (0)"
          >
            {open ? "Follow" : "Fit"}
          </button>
          {(hasBreaks || !folding) && (
            <button
              type="button"
              className={classes("tl-toggle", folding && "tl-on")}
              aria-pressed={folding}
              onClick={() => onFolding(!folding)}
              title="Fold stretches in which nothing was at work"
            >
              Skip idle
            </button>
          )}
        </>
      )}
      <button
        type="button"
        className={classes("tl-toggle", table && "tl-on")}
        aria-pressed={table}
        onClick={() => onTable(!table)}
      >
        Table
      </button>
    </div>
  );
}

const KEY: readonly (readonly [string, string])[] = [
  ["tl-step", "step"],
  ["tl-llm", "model"],
  ["tl-tool", "tool"],
  ["tl-wait", "waits for a person"],
];

/** What the bars stand for. */
export function Legend() {
  return (
    <ul className="tl-legend" aria-label="Legend">
      {KEY.map(([kind, name]) => (
        <li key={kind}>
          <span className={`tl-key ${kind} tl-lane-1`} aria-hidden="true" />
          {name}
        </li>
      ))}
    </ul>
  );
}
