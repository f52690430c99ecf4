/** The marks within a paragraph: code, bold, italic, struck text, links. Every text gives something, nothing gives HTML. */

/** Deeper emphasis is shown as written: nobody reads it, and recursion has an end. */
const DEPTH_MAX = 6;

/** A paragraph beyond this is shown as written: inline marks are looked for with a few passes over it. */
const INLINE_LENGTH_MAX = 20_000;

export type Inline =
  | string
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "strong" | "em" | "del"; readonly children: readonly Inline[] }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Inline[] };

const PAIRS: readonly (readonly [string, "strong" | "em" | "del"])[] = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];
const SPECIAL = /[\\`*_~[h]/g;
const ESCAPED = /[!-/:-@[-`{-~]/;
const BARE_LINK = /https?:\/\/[^\s<>"'`|\\^{}[\]]+/y;
const WORD = /[\p{L}\p{N}]/u;

/** Return the marks within one paragraph. Never fails. */
export function parseInline(text: string, depth = 0): Inline[] {
  if (text.length > INLINE_LENGTH_MAX || depth > DEPTH_MAX) return text === "" ? [] : [text];
  const out: Inline[] = [];
  // A mark without a partner further on has none from any later place either: each is looked for in vain once.
  const alone = new Set<string>();
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain !== "") out.push(plain);
    plain = "";
  };
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const next = SPECIAL.exec(text)?.index ?? text.length;
    plain += text.slice(at, next);
    at = next;
    if (at >= text.length) break;
    const found = markAt(text, at, depth, alone);
    if (typeof found.inline === "string") plain += found.inline;
    else {
      flush();
      out.push(found.inline);
    }
    at = found.end;
  }
  flush();
  return out;
}

interface Found {
  readonly inline: Inline;
  readonly end: number;
}

function markAt(text: string, at: number, depth: number, alone: Set<string>): Found {
  const char = text[at] as string;
  if (char === "\\" && ESCAPED.test(text[at + 1] ?? "")) return { inline: text[at + 1] as string, end: at + 2 };
  if (char === "`") return codeAt(text, at, alone);
  if (char === "[") return linkAt(text, at, depth, alone) ?? { inline: char, end: at + 1 };
  if (char === "h") return bareLinkAt(text, at) ?? { inline: char, end: at + 1 };
  for (const [mark, kind] of PAIRS) {
    if (!text.startsWith(mark, at) || alone.has(mark)) continue;
    const end = partner(text, at, mark);
    if (end === -1) {
      alone.add(mark);
    } else if (end !== null) {
      const children = parseInline(text.slice(at + mark.length, end), depth + 1);
      return { inline: { kind, children }, end: end + mark.length };
    }
  }
  return { inline: char, end: at + 1 };
}

/** Return where the mark at `at` is closed; null when it can't open here, -1 when nothing further on closes it. */
function partner(text: string, at: number, mark: string): number | null {
  const after = text[at + mark.length];
  if (after === undefined || /\s/.test(after)) return null;
  // snake_case_names are no emphasis.
  if (mark[0] === "_" && WORD.test(text[at - 1] ?? "")) return null;
  for (let end = text.indexOf(mark, at + mark.length + 1); end !== -1; end = text.indexOf(mark, end + 1)) {
    const before = text[end - 1] as string;
    const beyond = text[end + mark.length] ?? "";
    if (/\s/.test(before) || before === "\\") continue;
    if (mark.length === 1 && (beyond === mark || before === mark)) continue;
    if (mark[0] === "_" && WORD.test(beyond)) continue;
    return end;
  }
  return -1;
}

function codeAt(text: string, at: number, alone: Set<string>): Found {
  let width = 1;
  while (text[at + width] === "`") width += 1;
  const fence = "`".repeat(width);
  if (!alone.has(fence)) {
    let end = text.indexOf(fence, at + width);
    while (end !== -1 && text[end + width] === "`") {
      while (text[end] === "`") end += 1;
      end = text.indexOf(fence, end);
    }
    if (end !== -1) {
      const inner = text.slice(at + width, end);
      const padded = inner.length > 2 && inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
      return { inline: { kind: "code", text: padded ? inner.slice(1, -1) : inner }, end: end + width };
    }
    alone.add(fence);
  }
  return { inline: fence, end: at + width };
}

function linkAt(text: string, at: number, depth: number, alone: Set<string>): Found | null {
  if (alone.has("](")) return null;
  const middle = text.indexOf("](", at + 1);
  if (middle === -1) {
    alone.add("](");
    return null;
  }
  const end = text.indexOf(")", middle + 2);
  const label = text.slice(at + 1, middle);
  if (end === -1 || label.includes("[") || label.includes("\n\n")) return null;
  const href = safeHref(text.slice(middle + 2, end).trim());
  if (href === null || label === "") return null;
  return { inline: { kind: "link", href, children: parseInline(label, depth + 1) }, end: end + 1 };
}

function bareLinkAt(text: string, at: number): Found | null {
  if (WORD.test(text[at - 1] ?? "")) return null;
  BARE_LINK.lastIndex = at;
  const match = BARE_LINK.exec(text)?.[0];
  if (match === undefined) return null;
  let end = match.length;
  while (".,;:!?)*_~".includes(match[end - 1] as string)) end -= 1;
  const written = match.slice(0, end);
  const href = safeHref(written);
  return href === null ? null : { inline: { kind: "link", href, children: [written] }, end: at + written.length };
}

/** Printable ASCII and letters only: what hides or turns text around has no place in an address. */
const HIDDEN = /[\s\p{C}]/u;

/** Return an address that may be followed, or null: http and https, nothing else, and no user names in it. */
export function safeHref(written: string): string | null {
  if (HIDDEN.test(written) || !/^https?:\/\//i.test(written)) return null;
  try {
    const url = new URL(written);
    const web = url.protocol === "https:" || url.protocol === "http:";
    return web && url.username === "" && url.password === "" ? url.href : null;
  } catch {
    return null;
  }
}
