import { memo, useState } from "react";
import { classes } from "./classes.ts";
import { formatCount } from "./format.ts";
import { type Piece, pieces } from "./visible.ts";
import "./Text.css";

interface TextProps {
  readonly children: string;
  /** Keep line breaks and runs of spaces. */
  readonly pre?: boolean;
  /** One line, clipped at the end of its place. */
  readonly clip?: boolean;
  readonly mono?: boolean;
  /** Show so many characters and offer the rest. */
  readonly limit?: number;
  readonly className?: string;
}

/**
 * Any text, whoever wrote it, shown as text: nothing in it is markup, turns its surroundings around or hides. It is
 * isolated (`bdi`), so that a name in Arabic or an unclosed override changes nothing beside it.
 */
export const Text = memo(function Text({ children, pre, clip, mono, limit, className }: TextProps) {
  const [all, setAll] = useState(false);
  const cut = limit !== undefined && !all && children.length > limit ? cutAt(children, limit) : children.length;
  const shown = cut < children.length ? children.slice(0, cut) : children;
  return (
    <>
      <bdi className={classes("text", pre && "text-pre", clip && "text-clip", mono && "mono", className)}>
        {pieces(shown).map(piece)}
      </bdi>
      {cut < children.length && (
        <button type="button" className="text-more" onClick={() => setAll(true)}>
          … {formatCount(children.length - cut)} more characters
        </button>
      )}
    </>
  );
});

/** Return where to cut a text for a length: not between the halves of a character. */
export function cutAt(text: string, limit: number): number {
  const code = text.charCodeAt(limit - 1);
  return code >= 0xd800 && code <= 0xdbff ? limit - 1 : limit;
}

function piece(part: Piece, index: number) {
  if (typeof part === "string") return part;
  return (
    <span key={index} className="text-unseen" title={part.name}>
      {part.shown}
    </span>
  );
}
