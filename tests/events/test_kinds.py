import pytest

from holdfast.events import kinds
from holdfast.events.catalog import MODELS
from holdfast.events.kinds import FILTER_TYPES_MAX, TypeFilter


def matching(predicate) -> set[str]:
    return {type_ for type_ in MODELS if predicate(type_)}


def test_three_types_end_a_run() -> None:
    assert matching(kinds.is_terminal) == {"run.completed", "run.failed", "run.cancelled"}


def test_the_predicates_know_their_families() -> None:
    assert matching(kinds.is_tool_call) == {
        "tool.started",
        "tool.progress",
        "tool.completed",
        "tool.failed",
    }
    assert matching(kinds.is_reasoning) == {
        "reasoning.started",
        "reasoning.delta",
        "reasoning.completed",
    }
    assert matching(kinds.is_message) == {"message.started", "message.delta", "message.completed"}
    assert matching(kinds.is_component) == {"component.rendered"}
    assert matching(kinds.is_delta) == {"message.delta", "reasoning.delta", "llm.delta"}


def test_what_carries_an_error_because_something_failed_is_a_failure() -> None:
    with_error = {t for t, model in MODELS.items() if "error" in model.model_fields}

    # A retry is announced with the error that caused it, but nothing has failed for good.
    assert matching(kinds.is_failure) == with_error - {"run.retrying", "step.retrying"}


def test_the_known_types_are_the_catalogue_s() -> None:
    assert set(MODELS) == kinds.KNOWN_TYPES


@pytest.mark.parametrize("text", [None, "", " ", ",", " , "])
def test_the_empty_filter_passes_everything(text: str | None) -> None:
    wanted = TypeFilter.parse(text)

    assert not wanted
    assert wanted.passes("message.delta")
    assert wanted.passes("anything.at.all")


def test_a_filter_passes_its_types_and_families_and_nothing_else() -> None:
    wanted = TypeFilter.parse("tool.*, run.completed,custom.*")

    assert wanted
    assert {t for t in [*MODELS, "custom.a", "custom.a.b", "tools.x"] if wanted.passes(t)} == {
        "tool.started",
        "tool.progress",
        "tool.completed",
        "tool.failed",
        "run.completed",
        "custom.a",
        "custom.a.b",
    }


def test_an_unknown_type_is_no_error() -> None:
    """It may be the type of a newer writer."""
    assert TypeFilter.parse("run.teleported").passes("run.teleported")


def test_a_filter_is_bounded() -> None:
    assert TypeFilter(["a.b"] * FILTER_TYPES_MAX)

    with pytest.raises(ValueError, match="at most 64"):
        TypeFilter(["a.b"] * (FILTER_TYPES_MAX + 1))
    with pytest.raises(ValueError, match="at most 64"):
        TypeFilter(["a" * 65])
