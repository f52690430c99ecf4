import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { useShortcut } from "../../app/shortcuts.ts";
import { EmptyState } from "../../ui/EmptyState.tsx";
import { formatCount } from "../../ui/format.ts";
import { Icon } from "../../ui/Icon.tsx";
import { Text } from "../../ui/Text.tsx";
import type { Selection, SessionView } from "../contract.ts";
import { useNarrow } from "../useNarrow.ts";
import { EventDetails } from "./EventDetails.tsx";
import { EventLine } from "./EventLine.tsx";
import { ExportButton } from "./ExportButton.tsx";
import { Filters } from "./Filters.tsx";
import { FixedList, type FixedListHandle } from "./FixedList.tsx";
import { EventPages, type Place } from "./pages.ts";
import { type Filter, isEmpty, NO_FILTER } from "./search.ts";
import { useSearch } from "./useSearch.ts";
import { pageReader } from "./wire.ts";
import "./Inspector.css";

const ROW_PX = 28;
const ROW_NARROW_PX = 46;

/** A drag of the scroll bar passes a hundred pages; only where it rests is anything asked for. */
const REST_MS = 80;

interface InspectorProps extends SessionView {
  readonly selection: Selection | null;
  onSelect(selection: Selection | null): void;
  /** Show the session as it was at a seq. */
  onAt(seq: number): void;
}

/** Every event of the log, from the first that is kept to the last that came; pages are read as they are looked at. */
export function Inspector(props: InspectorProps) {
  const { client, sessionId, state, version, head, minSeq, selection, onSelect, onAt } = props;
  const id = useId();
  const rowPx = useNarrow() ? ROW_NARROW_PX : ROW_PX;
  const read = useMemo(() => pageReader(sessionId, client.baseUrl), [sessionId, client.baseUrl]);
  const pages = useMemo(() => new EventPages(read), [read]);
  useEffect(() => () => pages.close(), [pages]);
  const loaded = useSyncExternalStore(pages.subscribe, () => pages.version);

  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const filtered = !isEmpty(filter);
  const found = useSearch(read, filter, minSeq, head);
  const count = filtered ? found.matches.length : Math.max(head - minSeq + 1, 0);

  const seqAt = (index: number) => (filtered ? (found.matches[index]?.event.seq ?? 0) : minSeq + index);
  const placeAt = (index: number): Place => (filtered ? (found.matches[index] ?? "absent") : pages.at(minSeq + index));
  const indexOf = (seq: number) =>
    filtered ? found.matches.findIndex((item) => item.event.seq === seq) : seq - minSeq;

  // What is in view is asked for once the scroll bar rests, and again when the end has moved on.
  const range = useRef({ first: 0, last: 0 });
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  const want = useCallback(() => {
    if (filtered) return;
    pages.want(minSeq + range.current.first, Math.min(minSeq + range.current.last, head), { minSeq, head });
  }, [pages, filtered, minSeq, head]);
  const latestWant = useRef(want);
  useEffect(() => {
    latestWant.current = want;
    want();
  }, [want]);
  const onRange = useCallback((first: number, last: number) => {
    range.current = { first, last };
    clearTimeout(rest.current);
    rest.current = setTimeout(() => latestWant.current(), REST_MS);
  }, []);
  useEffect(() => () => clearTimeout(rest.current), []);

  const list = useRef<FixedListHandle>(null);
  const [following, setFollowing] = useState(true);
  useEffect(() => {
    if (following && !filtered && count > 0) list.current?.toEnd();
  }, [following, filtered, count]);

  const picked = selection?.kind === "event" ? selection.seq : null;
  const [opened, setOpened] = useState(false);
  const pick = useCallback(
    (seq: number, open: boolean) => {
      onSelect({ kind: "event", seq });
      if (open) setOpened(true);
      setFollowing(false);
    },
    [onSelect],
  );
  const onPick = useCallback((seq: number) => pick(seq, true), [pick]);

  const move = (by: number) => {
    if (count === 0) return;
    const at = picked === null ? -1 : indexOf(picked);
    // Without a place to move from one begins behind the end: that is where the list is, too.
    const to = Math.min(Math.max((at < 0 ? count : at) + by, 0), count - 1);
    pick(seqAt(to), false);
    list.current?.reveal(to);
  };
  useShortcut("j", "Next event", () => move(1), { group: "Events" });
  useShortcut("k", "Previous event", () => move(-1), { group: "Events" });
  useShortcut("Enter", "Open the event", () => setOpened(picked !== null), { group: "Events" });
  useShortcut("Escape", "Close the event", () => setOpened(false), { group: "Events", enabled: opened });

  const pressed = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -count, End: count }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      move(by);
    } else if (event.key === "Enter" && picked !== null) {
      event.preventDefault();
      setOpened(true);
    }
  };

  // Somebody picked an event elsewhere: it is shown here as well.
  useEffect(() => {
    if (picked !== null && !filtered) list.current?.reveal(picked - minSeq);
  }, [picked, filtered, minSeq]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state changes in place, its version tells
  const agents = useMemo(() => [...new Set(state.agents.map((agent) => agent.name))].sort(), [state, version]);
  const index = picked === null ? -1 : indexOf(picked);
  const place = index < 0 ? null : placeAt(index);
  const item = opened && place !== null && typeof place !== "string" ? place : null;

  // The pane that opens below takes room from the list.
  const openSeq = item?.event.seq ?? null;
  useLayoutEffect(() => {
    if (openSeq !== null && index >= 0) list.current?.reveal(index);
  }, [openSeq, index]);

  return (
    <div className="inspector" data-loaded={loaded}>
      <div className="inspector-bar">
        <Filters filter={filter} agents={agents} onFilter={setFilter} />
        <span className="inspector-count" role="status">
          {filtered ? words(found, head, minSeq) : `${formatCount(count)} events`}
        </span>
        <ExportButton read={read} sessionId={sessionId} minSeq={minSeq} head={head} />
      </div>
      {pages.error !== null && !filtered && <Trouble error={pages.error} onRetry={() => pages.retry()} />}
      {found.error !== null && filtered && <Trouble error={found.error} />}
      <div className="inspector-panes">
        <div className="inspector-list">
          {count === 0 && !found.busy ? (
            <EmptyState icon={<Icon name="search" size={22} />} title={filtered ? "No such event" : "No event yet"}>
              {filtered ? "Events that come later and fit are shown here." : "They appear here as they are recorded."}
            </EmptyState>
          ) : (
            <FixedList
              ref={list}
              count={count}
              rowPx={rowPx}
              label="Events"
              active={{ index, id: `${id}-${picked}` }}
              onRange={onRange}
              onEnd={setFollowing}
              onKeyDown={pressed}
              render={(at) => (
                <EventLine
                  id={`${id}-${seqAt(at)}`}
                  seq={seqAt(at)}
                  index={at}
                  count={count}
                  place={placeAt(at)}
                  selected={seqAt(at) === picked}
                  onPick={onPick}
                />
              )}
            />
          )}
        </div>
        {item !== null && (
          <EventDetails
            key={item.event.seq}
            sessionId={sessionId}
            item={item}
            onClose={() => {
              setOpened(false);
              list.current?.focus();
            }}
            onAt={onAt}
          />
        )}
      </div>
    </div>
  );
}

function words(found: ReturnType<typeof useSearch>, head: number, minSeq: number): string {
  const many = `${formatCount(found.matches.length)} found`;
  if (found.full) return `${many}; narrow the filter for those after ${formatCount(found.through)}`;
  if (!found.busy) return many;
  const share = Math.floor((100 * Math.max(found.through - minSeq + 1, 0)) / Math.max(head - minSeq + 1, 1));
  return `${many}, ${share} % searched`;
}

function Trouble({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  return (
    <p className="inspector-trouble" role="alert">
      <Icon name="alert" size={14} />
      <Text>{error instanceof Error ? error.message : String(error)}</Text>
      {onRetry !== undefined && (
        <button type="button" className="text-more" onClick={onRetry}>
          Try again
        </button>
      )}
    </p>
  );
}
