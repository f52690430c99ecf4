import type { CSSProperties, ReactNode } from "react";
import { classes } from "../../../ui/classes.ts";
import { Icon, type IconName } from "../../../ui/Icon.tsx";
import { Text } from "../../../ui/Text.tsx";
import { useColour } from "../../colours.ts";
import { clock, initials } from "../words.ts";
import "./Frame.css";
import { visible } from "../../../ui/visible.ts";

interface FrameProps {
  /** An icon, or the name whose initials stand in its place. */
  readonly mark: { readonly icon: IconName } | { readonly name: string };
  readonly head: ReactNode;
  readonly ts?: string;
  readonly tone?: string | undefined;
  readonly label?: string;
  readonly className?: string | undefined;
  readonly children?: ReactNode;
}

/** A row: its mark at the edge, a line that says whose it is, and below what it is. */
export function Frame({ mark, head, ts, tone, label, className, children }: FrameProps) {
  const named = "name" in mark;
  const colour = useColour(named ? mark.name : "");
  return (
    <article
      className={classes("row", className, tone && `tone-${tone}`)}
      aria-label={label === undefined ? undefined : visible(label)}
    >
      <span
        className={classes("row-mark", named && "row-mark-name")}
        style={named ? ({ "--mark": colour } as CSSProperties) : undefined}
        aria-hidden="true"
      >
        {named ? initials(mark.name) : <Icon name={mark.icon} size={14} />}
      </span>
      <div className="row-inside">
        <header className="row-head">
          {head}
          {ts !== undefined && (
            <time className="row-time" dateTime={ts} title={ts}>
              {clock(ts)}
            </time>
          )}
        </header>
        {children}
      </div>
    </article>
  );
}

/** Which parallel branch it happened in. */
export function Lane({ lane }: { readonly lane: string | null }) {
  if (lane === null) return null;
  return (
    <span className="row-lane" title="parallel branch">
      <Text clip>{lane}</Text>
    </span>
  );
}

/** Who said or did it. */
export function Who({ name }: { readonly name: string }) {
  return (
    <span className="row-who">
      <Text clip>{name}</Text>
    </span>
  );
}
