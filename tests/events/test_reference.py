"""The pages about events name every type there is, and none that there isn't."""

import re
from pathlib import Path

from holdfast.events.catalog import MODELS
from holdfast.events.kinds import family
from holdfast.events.reference import FAMILIES, reference

DOCS = Path(__file__).parents[2] / "docs"
TYPE = re.compile(r"`([a-z]+\.[a-z]+)`")


def test_the_reference_is_current() -> None:
    """`python -m holdfast.events.reference > docs/events.md` makes it so."""
    assert (DOCS / "events.md").read_text("utf-8") == reference()


def test_every_family_is_told_of() -> None:
    assert set(FAMILIES) == {family(type_) for type_ in MODELS}


def test_the_reference_names_every_type_and_field() -> None:
    page = reference()

    for type_, model in MODELS.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{type_}` |")]
        for name, field in model.model_fields.items():
            assert name == "type" or f"`{field.serialization_alias or name}" in row, (type_, name)


def test_every_type_has_a_name_in_other_systems_or_is_said_to_have_none() -> None:
    """And no row maps to a type that we don't have."""
    page = (DOCS / "event-names.md").read_text("utf-8")
    ours = set(TYPE.findall(page.partition("## Ours that have no counterpart")[2]))
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if line.startswith("|") and len(cells) > 2:
            ours |= set(TYPE.findall(" ".join(cells[1:])))

    assert ours == set(MODELS)
