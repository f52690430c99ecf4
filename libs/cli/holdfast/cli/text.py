"""Text from events, made harmless for a terminal.

A model, a tool or a user of somebody's application wrote it. An escape sequence in it could move
the cursor, rename the window, fill the clipboard or, with a bidirectional override, show a
command that isn't the one that gets pasted.
"""

import re

# Longer names, ids and labels are cut: they stand on a line with other things.
LINE_LENGTH_MAX = 200

# Everything below a space but tab and newline; DEL and C1, where U+009B is an escape sequence's
# beginning in one character; marks, embeddings, overrides and isolates of direction; the
# invisible tag characters; the BOM.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n|\x85|\u2028|\u2029")
_SPACES = re.compile(r"\s+")


def inert(text: str) -> str:
    """Return `text` without what a terminal would obey; newlines and tabs stay."""
    return _HARMFUL.sub("", _LINE_ENDS.sub("\n", text))


def one_line(text: object, *, length: int = LINE_LENGTH_MAX) -> str:
    """Return `text` inert, on one line, cut with an ellipsis after `length` characters."""
    # Cut before the work: a megabyte of label costs no more than a line of it.
    words = _SPACES.sub(" ", inert(str(text)[: 4 * length])).strip()
    return words if len(words) <= length else words[: length - 1] + "…"


def escaped_json(line: str) -> str:
    """Return a line of JSON that means the same, with what a terminal would obey written as
    `\\uXXXX`.
    """
    return _HARMFUL.sub(_escape, line)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4))
