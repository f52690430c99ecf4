import { useEffect, useId, useState } from "react";
import { IconButton } from "../../ui/Button.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { visible } from "../../ui/visible.ts";
import { FAMILIES } from "./gist.ts";
import { type Filter, isEmpty, NO_FILTER } from "./search.ts";

interface FiltersProps {
  readonly filter: Filter;
  readonly agents: readonly string[];
  onFilter(filter: Filter): void;
}

/** Every key would begin another search; a pause does. */
const PAUSE_MS = 300;

/** What is wanted of the log: types, an agent, a text. */
export function Filters({ filter, agents, onFilter }: FiltersProps) {
  const id = useId();
  const [types, setTypes] = useState(filter.types.join(","));
  const [text, setText] = useState(filter.text);

  useEffect(() => {
    const timer = setTimeout(() => {
      const wanted = typesOf(types);
      if (wanted.join() !== filter.types.join() || text !== filter.text) onFilter({ ...filter, types: wanted, text });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [types, text, filter, onFilter]);

  const clear = () => {
    setTypes("");
    setText("");
    onFilter(NO_FILTER);
  };

  return (
    <search className="events-filters">
      <input
        className="field-input events-filters-text"
        type="search"
        aria-label="Text within events"
        placeholder="Search…"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <input
        className="field-input events-filters-types mono"
        aria-label="Types or families, separated by commas"
        placeholder="message.*, run.failed"
        list={`${id}-types`}
        spellCheck={false}
        value={types}
        onChange={(event) => setTypes(event.target.value)}
      />
      <datalist id={`${id}-types`}>
        {FAMILIES.map((family) => (
          <option key={family} value={`${family}.*`} />
        ))}
      </datalist>
      {agents.length > 0 && (
        <select
          className="field-input events-filters-agent"
          aria-label="Agent"
          value={filter.agent}
          onChange={(event) => onFilter({ ...filter, agent: event.target.value })}
        >
          <option value="">All agents</option>
          {agents.map((agent) => (
            <option key={agent} value={agent}>
              {visible(agent)}
            </option>
          ))}
        </select>
      )}
      {!isEmpty(filter) && (
        <IconButton size="sm" label="Clear the filter" onClick={clear}>
          <Icon name="close" size={14} />
        </IconButton>
      )}
    </search>
  );
}

const TYPE = /^(?:[a-z0-9_]+\.)+(?:[a-z0-9_]+|\*)$/;

/** Return what is a type or a family already: half a name would be refused. A family's bare name is the family. */
export function typesOf(written: string): string[] {
  return written
    .split(/[\s,]+/)
    .map((type) => (FAMILIES.includes(type) ? `${type}.*` : type))
    .filter((type) => TYPE.test(type));
}
