import { Fragment, memo, type ReactNode, useMemo } from "react";
import { Text } from "../../ui/Text.tsx";
import type { Inline } from "./inline.ts";
import { type Block, type Breaks, type ListItem, parseMarkdown } from "./markdown.ts";
import "./Markdown.css";

interface MarkdownProps {
  readonly text: string;
  readonly breaks?: Breaks;
}

/**
 * Text with marks, as elements made one by one: what looks like HTML is shown as it is written. Links lead to http and
 * https only, open elsewhere, and tell their target on hover.
 */
export const Markdown = memo(function Markdown({ text, breaks = "join" }: MarkdownProps) {
  const blocks = useMemo(() => parseMarkdown(text, breaks), [text, breaks]);
  return <div className="markdown">{blocks.map(block)}</div>;
});

function block(it: Block, index: number): ReactNode {
  switch (it.kind) {
    case "paragraph":
      return <p key={index}>{inlines(it.children)}</p>;
    case "heading":
      // The page has headings of its own: those of a message are only as large as they look.
      return (
        <p key={index} className={`markdown-h markdown-h${Math.min(it.level, 4)}`}>
          {inlines(it.children)}
        </p>
      );
    case "code":
      return (
        <figure key={index} className="markdown-code">
          {it.language !== "" && (
            <figcaption>
              <Text>{it.language}</Text>
            </figcaption>
          )}
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard */}
          <pre tabIndex={0}>
            <Text pre>{it.text}</Text>
          </pre>
        </figure>
      );
    case "quote":
      return <blockquote key={index}>{it.blocks.map(block)}</blockquote>;
    case "list":
      return it.start === null ? (
        <ul key={index}>{it.items.map(listItem)}</ul>
      ) : (
        <ol key={index} start={it.start}>
          {it.items.map(listItem)}
        </ol>
      );
    case "table":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        <div key={index} className="markdown-table" tabIndex={0} role="group" aria-label="Table">
          <table>
            <thead>
              <tr>{it.head.map((cell, at) => keyed(at, <th>{inlines(cell)}</th>))}</tr>
            </thead>
            <tbody>
              {it.rows.map((row, at) =>
                keyed(at, <tr>{row.map((cell, column) => keyed(column, <td>{inlines(cell)}</td>))}</tr>),
              )}
            </tbody>
          </table>
        </div>
      );
    case "rule":
      return <hr key={index} />;
  }
}

/** The parts of a text have nothing but their place. */
function keyed(place: number, element: ReactNode): ReactNode {
  return <Fragment key={place}>{element}</Fragment>;
}

function listItem(item: ListItem, index: number): ReactNode {
  const only = item.blocks.length === 1 ? item.blocks[0] : undefined;
  return (
    <li key={index} className={item.checked === undefined ? undefined : "markdown-task"}>
      {item.checked !== undefined && (
        <input type="checkbox" checked={item.checked} disabled aria-label={item.checked ? "done" : "not done"} />
      )}
      {only?.kind === "paragraph" ? inlines(only.children) : item.blocks.map(block)}
    </li>
  );
}

function inlines(children: readonly Inline[]): ReactNode {
  return children.map((child, index) => keyed(index, inline(child)));
}

function inline(it: Inline): ReactNode {
  if (typeof it === "string") return <Text pre>{it}</Text>;
  switch (it.kind) {
    case "code":
      return (
        <code>
          <Text>{it.text}</Text>
        </code>
      );
    case "strong":
      return <strong>{inlines(it.children)}</strong>;
    case "em":
      return <em>{inlines(it.children)}</em>;
    case "del":
      return <del>{inlines(it.children)}</del>;
    case "link":
      return (
        <a href={it.href} title={it.href} target="_blank" rel="noopener noreferrer">
          {inlines(it.children)}
        </a>
      );
  }
}
