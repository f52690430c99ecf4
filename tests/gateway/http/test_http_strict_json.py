import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events.codec import DEPTH_MAX, to_json
from holdfast.gateway.strict_json import NotStrictJson, check_strict_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('{"x": {"a": 1, "a": 1}}', "stands twice"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "beyond what a double can hold"),
        ("[18446744073709551616]", "beyond 64 bits"),
        ("[" + "9" * 5000 + "]", "beyond 64 bits"),
        (r'["\ud800"]', r"lone surrogate U+D800"),
        (r'{"\udfff": 1}', "lone surrogate U+DFFF"),
        (r'["\u0000"]', "U+0000"),
        ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), f"deeper than {DEPTH_MAX}"),
        ("[" * 100_000, f"deeper than {DEPTH_MAX}"),
        ('{"a":' * 100_000, f"deeper than {DEPTH_MAX}"),
        ("{", "not JSON: "),
        ("'a'", "not JSON: "),
        ("", "not JSON: "),
        ("[1,]", "not JSON: "),
        ('"a\nb"', "not JSON: "),
        ("[] []", "not JSON: "),
    ],
)
def test_json_with_two_meanings_or_none_is_refused_with_the_reason(text: str, said: str):
    with pytest.raises(NotStrictJson) as refusal:
        check_strict_json(text)

    assert said in str(refusal.value)


def test_as_deep_as_an_event_may_be_is_accepted():
    check_strict_json("[" * DEPTH_MAX + "]" * DEPTH_MAX)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_the_codec_can_record_comes_through_the_door(value: object):
    check_strict_json(to_json(value).decode())
