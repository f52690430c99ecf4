import type { Component } from "@holdfast/client/fold";
import { memo, type ReactNode } from "react";
import { Icon } from "../../../ui/Icon.tsx";
import { Json } from "../../../ui/Json.tsx";
import { Text } from "../../../ui/Text.tsx";
import { safeHref } from "../inline.ts";
import { Markdown } from "../Markdown.tsx";
import { tableOf } from "../table.ts";
import { Value } from "../Value.tsx";
import { Frame, Lane, Who } from "./Frame.tsx";
import { Progress } from "./Progress.tsx";
import "./cards.css";

/**
 * A piece of generated interface. A few simple types have a look of their own here; every other one, and every content
 * that isn't what its type promises, is shown as the JSON that it is. Nothing in it can act, and nothing is fetched.
 */
export const ComponentRow = memo(function ComponentRow({ component }: { readonly component: Component }) {
  const look = LOOKS.get(component.component_type.toLowerCase());
  const shown = look?.(component.content) ?? null;
  return (
    <Frame
      mark={{ icon: "sidebar" }}
      ts={component.ts}
      label={`Component ${component.component_type}`}
      className="row-card"
      head={
        <>
          <Who name={component.component_type} />
          {component.agent !== null && (
            <span className="row-faint">
              <Text clip>{component.agent}</Text>
            </span>
          )}
          <Lane lane={component.lane} />
        </>
      }
    >
      <div className="component">{shown ?? <Json value={component.content} depth={2} />}</div>
    </Frame>
  );
});

type Look = (content: unknown) => ReactNode;
type Fields = Readonly<Record<string, unknown>>;

const LOOKS: ReadonlyMap<string, Look> = new Map<string, Look>([
  ["text", text],
  ["markdown", markdown],
  ["card", card],
  ["table", table],
  ["list", list],
  ["metric", metric],
  ["progress", progress],
  ["link", link],
  ["image", image],
]);

function fields(content: unknown): Fields {
  return typeof content === "object" && content !== null && !Array.isArray(content) ? (content as Fields) : {};
}

function wordsIn(content: unknown, ...names: string[]): string | null {
  if (typeof content === "string") return content;
  const found = names.map((name) => fields(content)[name]).find((value) => typeof value === "string");
  return (found as string | undefined) ?? null;
}

function text(content: unknown): ReactNode {
  const found = wordsIn(content, "text", "content", "body");
  return found === null ? null : (
    <Text pre limit={4_000}>
      {found}
    </Text>
  );
}

function markdown(content: unknown): ReactNode {
  const found = wordsIn(content, "markdown", "text", "content", "body");
  return found === null ? null : <Markdown text={found} />;
}

function card(content: unknown): ReactNode {
  const { title, subtitle, text: said, body, description, ...rest } = fields(content);
  const words = [body, said, description].find((value) => typeof value === "string") as string | undefined;
  if (typeof title !== "string" && words === undefined) return null;
  return (
    <div className="component-card">
      {typeof title === "string" && (
        <p className="component-title">
          <Text>{title}</Text>
        </p>
      )}
      {typeof subtitle === "string" && (
        <p className="row-faint">
          <Text>{subtitle}</Text>
        </p>
      )}
      {words !== undefined && <Markdown text={words} />}
      {Object.keys(rest).length > 0 && <Value value={rest} />}
    </div>
  );
}

function table(content: unknown): ReactNode {
  const { rows, columns } = fields(content);
  const given = Array.isArray(content) ? content : rows;
  if (tableOf(given) !== null) return <Value value={given} />;
  // Rows as lists, with the names of the columns beside them.
  if (!Array.isArray(given) || !Array.isArray(columns)) return null;
  const names = columns.map((column) => wordsIn(column, "title", "label", "name", "key") ?? String(column));
  const named = given.map((row) =>
    Array.isArray(row) ? Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])) : row,
  );
  return tableOf(named) === null ? null : <Value value={named} />;
}

function list(content: unknown): ReactNode {
  const items = Array.isArray(content) ? content : fields(content).items;
  if (!Array.isArray(items) || !items.every((item) => typeof item === "string")) return null;
  return (
    <ul className="component-list">
      {items.slice(0, 500).map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the items of a value have nothing but their place
        <li key={at}>
          <Text>{item}</Text>
        </li>
      ))}
    </ul>
  );
}

function metric(content: unknown): ReactNode {
  const { label, title, value, unit } = fields(content);
  if (typeof value !== "number" && typeof value !== "string") return null;
  return (
    <p className="component-metric">
      <strong>
        <Text>{typeof value === "number" ? value.toLocaleString("en") : value}</Text>
      </strong>
      {typeof unit === "string" && <Text>{unit}</Text>}
      <span className="row-faint">{<Text>{wordsIn(label ?? title) ?? ""}</Text>}</span>
    </p>
  );
}

function progress(content: unknown): ReactNode {
  const { fraction, value, label, text: said } = fields(content);
  const share = typeof content === "number" ? content : (fraction ?? value);
  if (typeof share !== "number" || share < 0 || share > 1) return null;
  return <Progress fraction={share} label={wordsIn(label ?? said)} name="Progress" />;
}

function link(content: unknown): ReactNode {
  const url = wordsIn(content, "url", "href", "uri");
  const href = url === null ? null : safeHref(url);
  if (href === null) return null;
  return (
    <a href={href} title={href} target="_blank" rel="noopener noreferrer">
      <Text>{wordsIn(fields(content).title ?? fields(content).label) ?? href}</Text>
    </a>
  );
}

/** Where a picture is, not the picture: to load it would tell its server who reads this. */
function image(content: unknown): ReactNode {
  const url = wordsIn(content, "url", "src", "uri", "image_url");
  const href = url === null ? null : safeHref(url);
  if (href === null) return null;
  return (
    <p className="component-image">
      <Icon name="file" />
      <span>
        {wordsIn(fields(content).alt ?? fields(content).title ?? "Image") !== null && (
          <Text>{wordsIn(fields(content).alt ?? fields(content).title ?? "Image") ?? ""}</Text>
        )}{" "}
        <a href={href} title={href} target="_blank" rel="noopener noreferrer">
          <Text>{href}</Text>
        </a>
        <span className="row-faint"> (not loaded)</span>
      </span>
    </p>
  );
}
