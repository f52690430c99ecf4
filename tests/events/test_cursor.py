import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events.cursor import SEQ_MAX, parse_cursor
from holdfast.events.errors import CursorInvalid


@given(st.integers(0, SEQ_MAX))
def test_every_seq_is_a_cursor(seq: int) -> None:
    assert parse_cursor(str(seq)) == seq


@given(st.integers(0, SEQ_MAX), st.text("0123456789abcdef", min_size=1, max_size=16))
def test_a_certificate_behind_the_seq_is_kept_for_later_and_ignored(seq: int, hex_: str) -> None:
    assert parse_cursor(f"{seq}-{hex_}") == seq


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "-1",
        "1.0",
        "1e3",
        "1_0",
        "0x1",
        "1-",
        "-a",
        "1-A",
        "1-g",
        "1-0-0",
        "1-" + "a" * 17,
        "$",
        "*",
        "٣",
        "１",
        str(SEQ_MAX + 1),
        "9" * 19,
        "0" * 20,
        "9" * 100_000,
    ],
)
def test_what_no_reader_was_given_is_refused(text: str) -> None:
    """A guessed position would silently skip events; unicode digits are digits to int() alone."""
    with pytest.raises(CursorInvalid) as refused:
        parse_cursor(text)

    assert len(str(refused.value)) < 200


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    try:
        seq = parse_cursor(text)
    except CursorInvalid:
        return
    assert 0 <= seq <= SEQ_MAX
