import type { Reasoning } from "@holdfast/client/fold";
import { memo, useState } from "react";
import { formatDuration } from "../../../ui/format.ts";
import { Icon } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { Frame, Lane } from "./Frame.tsx";

/** What is read of a thought while it comes: its last line or two. */
const TAIL_CHARS = 220;

/** What was thought: one line that opens. */
export const ThoughtRow = memo(function ThoughtRow({ thought }: { readonly thought: Reasoning }) {
  const [isOpen, setOpen] = useState(false);
  const going = !thought.complete && !thought.cut;
  const took = thought.duration_ms === null ? "" : ` for ${formatDuration(thought.duration_ms)}`;
  const said = going ? "thinking" : thought.cut ? "stopped thinking" : `thought${took}`;
  return (
    <Frame
      mark={{ icon: "spark" }}
      ts={thought.ts}
      className="row-quiet"
      label="Reasoning"
      head={
        <>
          <button type="button" className="row-toggle" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {thought.agent !== null && <Text clip>{thought.agent}</Text>}
            <span className={going ? "shimmer" : undefined}>{said}</span>
            <Icon name={isOpen ? "chevronDown" : "chevronRight"} size={12} />
          </button>
          <Lane lane={thought.lane} />
        </>
      }
    >
      {isOpen ? (
        <div className="thought">
          <Text pre limit={8_000}>
            {thought.content}
          </Text>
        </div>
      ) : (
        going && thought.content !== "" && <div className="thought thought-tail">{tail(thought.content)}</div>
      )}
    </Frame>
  );
});

function tail(content: string) {
  return <Text>{content.length > TAIL_CHARS ? `…${content.slice(-TAIL_CHARS)}` : content}</Text>;
}
