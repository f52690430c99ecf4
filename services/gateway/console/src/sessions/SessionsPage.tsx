import type { RunStatus, SessionStatus } from "@holdfast/client";
import { useDeferredValue, useMemo, useRef, useState } from "react";
import { navigate, sessionPath, useFragmentParam } from "../app/router.ts";
import { useShortcut } from "../app/shortcuts.ts";
import { useTitle } from "../app/title.ts";
import { Button } from "../ui/Button.tsx";
import { plural } from "../ui/format.ts";
import { Icon } from "../ui/Icon.tsx";
import { useNow } from "../ui/now.ts";
import { Text } from "../ui/Text.tsx";
import { useDetails } from "./details.ts";
import { EraseDialog } from "./EraseDialog.tsx";
import { Filters } from "./Filters.tsx";
import { counted, filtered, isId, RUN_FILTERS, rowsOf } from "./filter.ts";
import { useSessions } from "./list.ts";
import { Nothing, Waiting } from "./Placeholders.tsx";
import { SessionRow } from "./SessionRow.tsx";
import { StartRunDialog } from "./StartRunDialog.tsx";
import "./SessionsPage.css";

const STATUSES: readonly SessionStatus[] = ["active", "expired", "erased"];

// Runs that go on count their seconds.
const TICK_MS = 1_000;

/** Every session: what goes on in them, and the way to each. */
export function SessionsPage() {
  useTitle("Sessions");
  const [text, setText] = useFragmentParam("q");
  const [runParam, setRun] = useFragmentParam("run");
  const [statusParam, setStatus] = useFragmentParam("status");
  const run = RUN_FILTERS.find((one) => one === runParam) ?? null;
  const status = STATUSES.find((one) => one === statusParam) ?? null;
  const [starting, setStarting] = useState(false);
  const [erasing, setErasing] = useState<string | null>(null);

  const { items, hasMore, loadingMore, problem, loadMore, refresh } = useSessions(status);
  const details = useDetails(items);
  const rows = useMemo(() => rowsOf(items ?? [], details), [items, details]);
  const wantedText = useDeferredValue(text ?? "");
  const shown = useMemo(() => filtered(rows, { text: wantedText, run }), [rows, wantedText, run]);
  const counts = useMemo(() => counted(rows), [rows]);
  const now = useNow(TICK_MS);

  const list = useRef<HTMLUListElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const move = (by: number) => {
    const links = [...(list.current?.querySelectorAll<HTMLElement>("a.session-link") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[to]?.focus();
  };
  useShortcut(["j", "ArrowDown"], "Next session", () => move(1));
  useShortcut(["k", "ArrowUp"], "Previous session", () => move(-1));
  // Links take the key themselves; it stands here to be found in the help.
  useShortcut("Enter", "Open it", () => move(1));
  useShortcut("/", "Search", () => search.current?.select());
  useShortcut("n", "Start a run", () => setStarting(true));

  const clear = () => {
    setText(null);
    setRun(null);
    setStatus(null);
    search.current?.focus();
  };
  const asked = (text ?? "").trim();
  // Older than what is loaded, perhaps: the gateway will know.
  const elsewhere = shown.length === 0 && isId(asked);
  const open = (id: string) => navigate(sessionPath(id));
  const isFiltered = asked !== "" || run !== null || status !== null;

  return (
    <div className="sessions">
      <header className="sessions-header">
        <div className="sessions-title">
          <h1>Sessions</h1>
          <p className="sessions-count" role="status">
            {items !== null && summary(shown.length, rows.length, hasMore, isFiltered)}
          </p>
        </div>
        <Button tone="primary" icon={<Icon name="plus" />} onClick={() => setStarting(true)}>
          Start a run
        </Button>
      </header>
      <Filters
        search={search}
        text={text ?? ""}
        run={run}
        status={status}
        counts={counts}
        onSearch={(next) => setText(next === "" ? null : next)}
        onRun={(next: RunStatus | null) => setRun(next)}
        onStatus={(next: SessionStatus | null) => setStatus(next)}
        onEnter={() => {
          const [first] = shown;
          if (elsewhere || rows.some(({ session }) => session.session_id === asked)) open(asked);
          else if (first !== undefined && shown.length === 1) open(first.session.session_id);
        }}
      />
      {problem !== null && (
        <p className="sessions-problem" role="alert">
          <Icon name="alert" /> <Text>{problem}</Text> {items !== null && "What is shown may be out of date."}
        </p>
      )}
      <div className="sessions-list">
        <div className="session-row session-head" aria-hidden="true">
          <span>Latest run</span>
          <span>Session</span>
          <span>Workflow</span>
          <span className="session-number">Events</span>
          <span className="session-number">Took</span>
          <span className="session-number">Created</span>
          <span />
        </div>
        {items === null ? (
          problem === null && <Waiting />
        ) : shown.length === 0 ? (
          <Nothing filtered={isFiltered} onClear={clear} onStart={() => setStarting(true)} />
        ) : (
          <ul ref={list}>
            {shown.map((row) => (
              <SessionRow key={row.session.session_id} row={row} now={now} onErase={setErasing} />
            ))}
          </ul>
        )}
        {elsewhere && items !== null && (
          <button type="button" className="sessions-elsewhere" onClick={() => open(asked)}>
            Open session <span className="mono">{asked}</span> <Icon name="arrowRight" size={14} />
          </button>
        )}
      </div>
      {hasMore && (
        <div className="sessions-more">
          <Button busy={loadingMore} onClick={loadMore}>
            Load older sessions
          </Button>
        </div>
      )}
      {starting && <StartRunDialog known={rows} onClose={() => setStarting(false)} />}
      {erasing !== null && <EraseDialog sessionId={erasing} onClose={() => setErasing(null)} onErased={refresh} />}
    </div>
  );
}

function summary(shown: number, loaded: number, hasMore: boolean, isFiltered: boolean): string {
  if (isFiltered && shown !== loaded) return `${shown} of the ${hasMore ? `${loaded} newest` : loaded}`;
  return hasMore ? `the ${plural(loaded, "newest", "newest")}` : plural(loaded, "session");
}
