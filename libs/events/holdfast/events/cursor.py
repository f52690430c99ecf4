"""A cursor is the seq of the last event that a reader has; every `after` in Holdfast is one, and exclusive."""

import re

from holdfast.events.errors import CursorInvalid

# Postgres' bigint; a seq beyond it can't exist.
SEQ_MAX = 2**63 - 1

# The `-<hex>` suffix is reserved for certified cursors: accepted, so that clients may keep
# them, and ignored. 19 + 1 + 16 characters at most: nothing longer is looked at.
_CURSOR = re.compile(r"([0-9]{1,19})(?:-[0-9a-f]{1,16})?", re.ASCII)


def parse_cursor(text: str) -> int:
    """Return the seq that `text` names. Raises CursorInvalid for anything that no reader was ever given."""
    match = _CURSOR.fullmatch(text)
    if match is None or (seq := int(match[1])) > SEQ_MAX:
        raise CursorInvalid(text)
    return seq
