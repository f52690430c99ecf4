import type { PendingInput } from "@holdfast/client/fold";
import { Badge } from "../../ui/Badge.tsx";
import { Text } from "../../ui/Text.tsx";
import { Frame, Lane, Who } from "../conversation/rows/Frame.tsx";
import { Deadline } from "./Deadline.tsx";

interface QuestionProps {
  readonly question: PendingInput;
  readonly live: boolean;
}

/** What a run asked and nobody answered yet, where it asked. The form stands below the conversation. */
export function Question({ question, live }: QuestionProps) {
  return (
    <Frame
      mark={{ icon: "user" }}
      tone="waiting"
      ts={question.ts}
      label="A question"
      className="row-question"
      head={
        <>
          <Who name={question.agent ?? "The run"} />
          <Lane lane={question.lane} />
          <Badge tone="waiting" dot>
            asks
          </Badge>
          {live && <Deadline at={question.deadline} />}
        </>
      }
    >
      <p className="question-prompt">
        <Text pre limit={2_000}>
          {question.prompt}
        </Text>
      </p>
    </Frame>
  );
}
