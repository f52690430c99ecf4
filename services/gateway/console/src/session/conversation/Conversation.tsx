import { useEffect, useMemo, useRef, useState } from "react";
import { EmptyState } from "../../ui/EmptyState.tsx";
import { Icon } from "../../ui/Icon.tsx";
import { Colours, coloursOf } from "../colours.ts";
import type { Selection, SessionView } from "../contract.ts";
import { activity } from "./activity.ts";
import { createReader, type Item } from "./items.ts";
import { placeOf } from "./places.ts";
import { Row } from "./Row.tsx";
import { ForgottenRow } from "./rows/WorkRows.tsx";
import { Scroller, type ScrollerHandle } from "./Scroller.tsx";
import "./Conversation.css";

interface ConversationProps extends SessionView {
  readonly selection: Selection | null;
  /** What the connection says beyond the state: that no worker is at it, that nothing is connected. */
  readonly stalled: boolean;
}

/** What was said and done, from the first run to the one under way. */
export function Conversation(props: ConversationProps) {
  const { state, version, markers, live, selection, stalled } = props;
  const [read] = useState(createReader);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the state changes in place, its version tells
  const items = useMemo(() => read(state, markers), [read, state, version, markers]);
  const scroller = useRef<ScrollerHandle>(null);

  const picked = useMemo(() => (selection === null ? -1 : placeOf(items, selection)), [items, selection]);
  const [shown, setShown] = useState<Selection | null>(null);
  useEffect(() => {
    if (selection === shown) return;
    setShown(selection);
    if (picked >= 0) scroller.current?.show(picked);
  }, [selection, shown, picked]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state changes in place, its version tells
  const doing = useMemo(() => (live ? activity(state, stalled) : null), [state, version, live, stalled]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the state changes in place, its version tells
  const forgotten = useMemo(
    () => Object.values(state.forgotten).reduce((sum, count) => sum + (count ?? 0), 0),
    [state, version],
  );

  const colours = useMemo(() => coloursOf(state.agents), [state.agents]);

  if (items.length === 0 && doing === null) {
    return (
      <EmptyState icon={<Icon name="inbox" size={24} />} title="Nothing was said yet">
        Start a run below, and what it says and does appears here.
      </EmptyState>
    );
  }
  return (
    <Colours value={colours}>
      <div className="conversation">
        {forgotten > 0 && <ForgottenRow count={forgotten} />}
        <Scroller
          ref={scroller}
          label="Conversation"
          count={items.length}
          rowKey={(index) => (items[index] as Item).key}
          render={(index) => <Row item={items[index] as Item} live={live} selected={index === picked} />}
          foot={
            <div className="conversation-foot">
              {doing !== null && (
                <p className="activity" role="status">
                  <span className="activity-dots" aria-hidden="true">
                    <span />
                    <span />
                    <span />
                  </span>
                  {doing}
                </p>
              )}
            </div>
          }
        />
      </div>
    </Colours>
  );
}
