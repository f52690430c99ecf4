/**
 * Markdown → a tree of plain data: paragraphs, headings, lists, quotes, code, simple tables, and within them code,
 * bold, italic, struck text and links. No HTML is known here, so none can come out: a tag is text like any other.
 *
 * Written for text that is still arriving: whatever isn't closed yet is shown as if it ended here (a fence) or as it
 * is written (a star). Every input gives a tree, in time linear to its length but for the bounds named below.
 */

import { type Inline, parseInline } from "./inline.ts";

/** Deeper lists and quotes are shown flat, deeper emphasis as written: nobody reads them, and recursion has an end. */
const DEPTH_MAX = 6;

export interface ListItem {
  readonly blocks: readonly Block[];
  /** A task list's box, if it has one. */
  readonly checked?: boolean;
}

export type Block =
  | { readonly kind: "paragraph"; readonly children: readonly Inline[] }
  | { readonly kind: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "list"; readonly start: number | null; readonly items: readonly ListItem[] }
  | { readonly kind: "quote"; readonly blocks: readonly Block[] }
  | {
      readonly kind: "table";
      readonly head: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { readonly kind: "rule" };

/**
 * What a line's end within a paragraph means: a space, as Markdown has it, or a line's end, as in plain text; there
 * only a line that was plainly broken for its length goes on.
 */
export type Breaks = "join" | "keep";

/** Plain text that is broken for its length has lines of at least this; lists and verses are shorter. */
const WRAPPED_AT = 56;

/** Return the blocks of a text. Never fails. */
export function parseMarkdown(text: string, breaks: Breaks = "join"): Block[] {
  return blocksOf(text.split(/\r\n|\r|\n/), { depth: 0, breaks });
}

// None of these looks at a character twice: a line may be a quarter of a megabyte of anything.
const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(\S.*)$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const TABLE_LINE = /^[-:|\s]{1,2000}$/;
const BOX = /^\[([ xX])\]\s+/;

interface How {
  readonly depth: number;
  readonly breaks: Breaks;
}

function deeper(how: How): How {
  return { ...how, depth: how.depth + 1 };
}

function blocksOf(lines: readonly string[], how: How): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, how);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** Return the block that begins at a line that isn't empty, and the line after it: always a later one. */
function blockAt(lines: readonly string[], at: number, how: How): [Block, number] {
  const line = lines[at] as string;
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1] as string, fence[2] as string);
  const heading = HEADING.exec(line);
  if (heading) {
    const level = (heading[1] as string).length;
    return [{ kind: "heading", level, children: parseInline(unclosed(heading[2] as string)) }, at + 1];
  }
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (how.depth < DEPTH_MAX) {
    if (QUOTE.test(line)) return quoted(lines, at, how);
    if (ITEM.test(line)) return list(lines, at, how);
  }
  if (isTable(lines, at)) return table(lines, at);
  return paragraph(lines, at, how);
}

/** A heading may be closed by the same marks that open it. */
function unclosed(heading: string): string {
  const trimmed = heading.trimEnd();
  let end = trimmed.length;
  while (trimmed[end - 1] === "#") end -= 1;
  return end === 0 || /\s/.test(trimmed[end - 1] as string) ? trimmed.slice(0, end).trimEnd() : trimmed;
}

function fenced(lines: readonly string[], at: number, fence: string, info: string): [Block, number] {
  let end = at + 1;
  while (end < lines.length) {
    const trimmed = (lines[end] as string).trim();
    if (trimmed.length >= fence.length && trimmed === (fence[0] as string).repeat(trimmed.length)) break;
    end += 1;
  }
  const text = lines.slice(at + 1, end).join("\n");
  return [{ kind: "code", language: info.trim().split(/\s/, 1)[0] as string, text }, end + 1];
}

function quoted(lines: readonly string[], at: number, how: How): [Block, number] {
  const inner: string[] = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const match = QUOTE.exec(lines[end] as string);
    if (!match) break;
    inner.push(match[1] as string);
  }
  return [{ kind: "quote", blocks: blocksOf(inner, deeper(how)) }, end];
}

function list(lines: readonly string[], at: number, how: How): [Block, number] {
  const first = ITEM.exec(lines[at] as string) as RegExpExecArray;
  const indent = (first[1] as string).length;
  const ordered = /\d/.test(first[2] as string);
  const items: ListItem[] = [];
  let end = at;
  while (end < lines.length) {
    const match = ITEM.exec(lines[end] as string);
    if (!match || (match[1] as string).length > indent + 1) break;
    if (/\d/.test(match[2] as string) !== ordered || RULE.test(lines[end] as string)) break;
    // What belongs to the item stands further right than its mark; one empty line may come in between.
    const inner = [match[4] as string];
    end += 1;
    for (; end < lines.length; end += 1) {
      const line = lines[end] as string;
      const following = lines[end + 1];
      if (line.trim() === "") {
        if (following === undefined || following.trim() === "" || indentOf(following) <= indent) break;
        inner.push("");
      } else if (indentOf(line) > indent) {
        inner.push(line.slice(Math.min(indentOf(line), indent + 2)));
      } else if (interrupts(line) || ITEM.test(line)) {
        break;
      } else {
        inner.push(line);
      }
    }
    items.push(item(inner, how));
    // Items may be set apart by empty lines.
    let next = end;
    while (next < lines.length && (lines[next] as string).trim() === "") next += 1;
    const after = next < lines.length ? ITEM.exec(lines[next] as string) : null;
    if (after && (after[1] as string).length <= indent + 1 && (after[1] as string).length >= indent) end = next;
  }
  const start = ordered ? Number.parseInt(first[2] as string, 10) : null;
  return [{ kind: "list", start, items }, end];
}

function item(inner: string[], how: How): ListItem {
  const box = BOX.exec(inner[0] as string);
  if (box) inner[0] = (inner[0] as string).slice(box[0].length);
  const blocks = blocksOf(inner, deeper(how));
  return box ? { blocks, checked: box[1] !== " " } : { blocks };
}

function isTable(lines: readonly string[], at: number): boolean {
  const rule = lines[at + 1];
  return (lines[at] as string).includes("|") && rule?.includes("-") === true && TABLE_LINE.test(rule);
}

function table(lines: readonly string[], at: number): [Block, number] {
  const head = cells(lines[at] as string);
  const rows: (readonly Inline[])[][] = [];
  let end = at + 2;
  for (; end < lines.length && (lines[end] as string).includes("|"); end += 1) {
    const row = cells(lines[end] as string).slice(0, head.length);
    while (row.length < head.length) row.push([]);
    rows.push(row);
  }
  return [{ kind: "table", head, rows }, end];
}

function cells(line: string): (readonly Inline[])[] {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => parseInline(cell.trim().replaceAll("\\|", "|")));
}

function paragraph(lines: readonly string[], at: number, how: How): [Block, number] {
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end] as string;
    if (line.trim() === "" || interrupts(line) || isTable(lines, end)) break;
    // "1986. A good year" within a paragraph is no list; one that begins with 1 is.
    const match = how.depth < DEPTH_MAX ? ITEM.exec(line) : null;
    if (match && match[4] !== "" && (!/\d/.test(match[2] as string) || Number.parseInt(match[2] as string, 10) === 1)) {
      break;
    }
    end += 1;
  }
  return [{ kind: "paragraph", children: parseInline(joined(lines.slice(at, end), how.breaks)) }, end];
}

function joined(lines: readonly string[], breaks: Breaks): string {
  let text = "";
  lines.forEach((line, index) => {
    const last = index === lines.length - 1;
    const written = line.endsWith("  ") || line.endsWith("\\");
    const goesOn = breaks === "join" ? !written : line.length >= WRAPPED_AT;
    text += last ? line : `${line.trimEnd().replace(/\\$/, "")}${goesOn ? " " : "\n"}`;
  });
  return text;
}

function interrupts(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
