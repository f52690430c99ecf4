import type { RunStatus, SessionStatus } from "@holdfast/client";
import type { RefObject } from "react";
import { StatusDot, toneOf } from "../ui/Badge.tsx";
import { formatCount } from "../ui/format.ts";
import { Icon } from "../ui/Icon.tsx";
import { RUN_FILTERS } from "./filter.ts";
import "./Filters.css";

interface FiltersProps {
  readonly search: RefObject<HTMLInputElement | null>;
  readonly text: string;
  readonly run: RunStatus | null;
  readonly status: SessionStatus | null;
  readonly counts: ReadonlyMap<RunStatus, number>;
  onSearch(text: string): void;
  onRun(run: RunStatus | null): void;
  onStatus(status: SessionStatus | null): void;
  onEnter(): void;
}

/** What narrows the list down. */
export function Filters({ search, text, run, status, counts, onSearch, onRun, onStatus, onEnter }: FiltersProps) {
  return (
    <search className="filters">
      <div className="filters-search">
        <Icon name="search" />
        <input
          ref={search}
          type="search"
          value={text}
          placeholder="Search by id, title or workflow"
          aria-label="Search sessions"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => onSearch(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") onEnter();
            if (event.key === "Escape") {
              onSearch("");
              event.currentTarget.blur();
            }
          }}
        />
        <kbd>/</kbd>
      </div>
      <fieldset className="filters-runs">
        <legend className="visually-hidden">Status of the latest run</legend>
        <button type="button" className="filters-run" aria-pressed={run === null} onClick={() => onRun(null)}>
          All
        </button>
        {RUN_FILTERS.map((one) => (
          <button
            key={one}
            type="button"
            className="filters-run"
            aria-pressed={run === one}
            onClick={() => onRun(run === one ? null : one)}
          >
            <StatusDot tone={toneOf(one)} />
            {one}
            {counts.has(one) && <span className="filters-count">{formatCount(counts.get(one) ?? 0)}</span>}
          </button>
        ))}
      </fieldset>
      <select
        className="filters-status"
        aria-label="Status of the session"
        value={status ?? ""}
        onChange={(event) => onStatus(event.target.value === "" ? null : (event.target.value as SessionStatus))}
      >
        <option value="">Any session</option>
        <option value="active">Active</option>
        <option value="expired">Expired</option>
        <option value="erased">Erased</option>
      </select>
    </search>
  );
}
