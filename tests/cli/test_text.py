import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.text import escaped_json, inert, one_line

HARMFUL = [
    *(chr(n) for n in range(0x20) if chr(n) not in "\t\n"),
    *(chr(n) for n in range(0x7F, 0xA0) if n != 0x85),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
]


@given(st.text() | st.lists(st.sampled_from(HARMFUL)).map("".join))
def test_nothing_that_a_terminal_obeys_is_left(text: str):
    shown = inert(text)

    assert not any(char in shown for char in HARMFUL)
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("\x9b2Jx", "2Jx"),
        ("rm \u202e4pm.txt", "rm 4pm.txt"),
        ("a\rb", "ab"),
        ("a\r\nb", "a\nb"),
        ("a\u2028b\x85c", "a\nb\nc"),
        ("a\tb\nc", "a\tb\nc"),
        ("漢字 👩\u200d🚀 café", "漢字 👩\u200d🚀 café"),
        ("\udc80x", "x"),
    ],
)
def test_harmful_text_is_shown_without_its_teeth(text: str, shown: str):
    assert inert(text) == shown


@given(st.text(), st.integers(1, 50))
def test_a_line_is_one_line_of_bounded_length(text: str, length: int):
    line = one_line(text, length=length)

    assert len(line) <= length
    assert "\n" not in line
    assert "\t" not in line


@given(st.text())
def test_escaped_json_means_the_same_and_holds_nothing_harmful(text: str):
    line = json.dumps({"text": text}, ensure_ascii=False)

    escaped = escaped_json(line)

    assert json.loads(escaped) == {"text": text}
    assert not any(char in escaped for char in HARMFUL)


def test_a_character_beyond_the_basic_plane_is_escaped_as_a_pair():
    assert escaped_json('"\U000e0041"') == '"\\udb40\\udc41"'
