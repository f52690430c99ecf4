import { memo } from "react";
import { Text } from "../../ui/Text.tsx";
import { Question } from "../inputs/Question.tsx";
import type { Item } from "./items.ts";
import { ComponentRow } from "./rows/ComponentRow.tsx";
import { MessageRow } from "./rows/MessageRow.tsx";
import {
  AnswerRow,
  RunEndedRow,
  RunResumedRow,
  RunRetryingRow,
  RunStartedRow,
  Separator,
  StageRow,
} from "./rows/RunRows.tsx";
import { ThoughtRow } from "./rows/ThoughtRow.tsx";
import { ToolRow } from "./rows/ToolRow.tsx";
import { ArtifactRow, FailureRow, NoticeRow, PlanRow } from "./rows/WorkRows.tsx";

interface RowProps {
  readonly item: Item;
  readonly live: boolean;
  readonly selected: boolean;
}

/** One row of the conversation, whatever it is. */
export const Row = memo(function Row(props: RowProps) {
  return (
    <div className="conversation-row" data-kind={props.item.kind} data-selected={props.selected || undefined}>
      <Inside {...props} />
    </div>
  );
});

function Inside({ item, live }: RowProps) {
  switch (item.kind) {
    case "run-started":
      return <RunStartedRow item={item} />;
    case "run-resumed":
      return <RunResumedRow item={item} />;
    case "run-retrying":
      return <RunRetryingRow item={item} />;
    case "run-ended":
      return <RunEndedRow item={item} />;
    case "stage":
      return <StageRow item={item} />;
    case "message":
      return <MessageRow message={item.entry} />;
    case "reasoning":
      return <ThoughtRow thought={item.entry} />;
    case "tool":
      return <ToolRow call={item.entry} />;
    case "model":
    case "step":
      return <FailureRow item={item} />;
    case "component":
      return <ComponentRow component={item.entry} />;
    case "artifact":
      return <ArtifactRow artifact={item.entry} />;
    case "notice":
      return <NoticeRow notice={item.entry} />;
    case "plan":
      return <PlanRow item={item} />;
    case "input":
      return <Question question={item.entry} live={live} />;
    case "answer":
      return <AnswerRow item={item} />;
    case "unanswered":
      return (
        <Separator icon="close" tone="waiting">
          <Text>{item.prompt === null ? "nobody answered in time" : `nobody answered in time: ${item.prompt}`}</Text>
        </Separator>
      );
    case "refused":
      return (
        <Separator icon="close" tone="waiting">
          <Text>{`${item.command} was refused: ${item.reason}`}</Text>
        </Separator>
      );
  }
}
