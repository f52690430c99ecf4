/**
 * Text that others wrote, made harmless for the eye. React keeps it from being markup; what is left are characters
 * that act without being seen: terminal escapes, marks that turn the direction of what follows, invisible letters.
 * Each of them is shown by name instead.
 */

/** A character that is shown by its name. */
export interface Unseen {
  readonly shown: string;
  readonly name: string;
}

export type Piece = string | Unseen;

const NAMES: Readonly<Record<number, string>> = {
  0x00: "null",
  0x07: "bell",
  0x08: "backspace",
  0x0b: "vertical tab",
  0x0c: "form feed",
  0x0d: "carriage return",
  0x1b: "escape",
  0x7f: "delete",
  0x85: "next line",
  0xad: "soft hyphen",
  0x61c: "Arabic letter mark",
  0x180e: "Mongolian vowel separator",
  0x200b: "zero width space",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "pop directional isolate",
  0xfeff: "zero width no-break space",
};

// Zero width joiners stay: Persian and half of the emoji are written with them. Tabs and line feeds are layout.
const UNSEEN =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

/** Cut a text where characters that act unseen are; without any it is one piece, the text itself. */
export function pieces(text: string): readonly Piece[] {
  const lines = text.includes("\r\n") ? text.replaceAll("\r\n", "\n") : text;
  const found: Piece[] = [];
  let from = 0;
  for (const match of lines.matchAll(UNSEEN)) {
    if (match.index > from) found.push(lines.slice(from, match.index));
    found.push(unseen(match[0].codePointAt(0) ?? 0));
    from = match.index + match[0].length;
  }
  if (from < lines.length) found.push(lines.slice(from));
  return found;
}

/** Return a text with the same characters named in place, for where only a plain string can stand (titles, labels). */
export function visible(text: string): string {
  return pieces(text)
    .map((piece) => (typeof piece === "string" ? piece : piece.shown))
    .join("");
}

function unseen(code: number): Unseen {
  const point = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  // Unicode has pictures for the first 32 and for delete: ␛ is known to everybody who ever saw a terminal.
  const picture = code < 0x20 ? 0x2400 + code : code === 0x7f ? 0x2421 : null;
  const name = NAMES[code] ?? (code >= 0xd800 && code <= 0xdfff ? "half of a surrogate pair" : "invisible character");
  return { shown: picture === null ? `[${point}]` : String.fromCodePoint(picture), name: `${point} ${name}` };
}
