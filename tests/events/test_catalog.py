from datetime import datetime
from typing import Literal

import pytest
from pydantic import ValidationError

from holdfast.events.catalog import (
    CATALOG,
    MODELS,
    TERMINAL_TYPES,
    CustomEvent,
    InputRequested,
    MessageDelta,
    PlanCreated,
    RunFailed,
    RunStarted,
    UnknownEvent,
    custom,
    parse_event,
    register_custom,
)
from holdfast.events.catalog.custom import TYPE_FORM, check_type_name
from tests.events.samples import BY_TYPE, SAMPLES, recorded


class InvoicePaid(CustomEvent):
    type: Literal["custom.invoice.paid"] = "custom.invoice.paid"
    amount_cents: int


@pytest.fixture
def no_custom_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_registered", {})


def test_every_type_has_one_model_and_the_form_of_a_type() -> None:
    assert len(MODELS) == len(CATALOG)
    for type_, model in MODELS.items():
        assert model.model_fields["type"].default == type_
        check_type_name(type_)


def test_every_model_says_what_fact_it_states() -> None:
    for model in CATALOG:
        assert model.__doc__
        assert model.__doc__ != model.__mro__[1].__doc__


def test_every_type_has_a_sample() -> None:
    assert {event.type for event, _ in SAMPLES} == set(MODELS)


def test_only_runs_end() -> None:
    assert set(MODELS) >= TERMINAL_TYPES
    assert {MODELS[t].__name__ for t in TERMINAL_TYPES} == {
        "RunCompleted",
        "RunFailed",
        "RunCancelled",
    }


def test_every_end_but_of_plans_and_sessions_tells_how_long_it_took() -> None:
    ends = (".completed", ".failed", ".cancelled", ".received", ".expired", ".executed")
    timeless = {"plan.failed", "session.expired"}
    for type_, model in MODELS.items():
        if type_.endswith(ends) and type_ not in timeless:
            assert model.model_fields["duration_ms"].is_required(), type_


@pytest.mark.parametrize(("event", "context"), SAMPLES, ids=[e.type for e, _ in SAMPLES])
def test_parsing_an_event_gives_its_model_back(event, context) -> None:
    found = recorded(event, context).event

    assert type(found) is type(event)
    assert found == event


@pytest.mark.parametrize("model", CATALOG, ids=lambda m: m.__name__)
def test_a_field_that_the_model_does_not_have_cannot_be_written(model) -> None:
    event, _ = BY_TYPE[model.model_fields["type"].default]

    with pytest.raises(ValidationError, match="extra_forbidden"):
        model(**{**event.__dict__, "surprise": 1})


def test_a_nested_field_that_the_record_does_not_have_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        RunFailed.model_validate(
            {"error": {"code": "a", "message": "b", "stack": "secret"}, "duration_ms": 1}
        )


def test_fields_of_a_newer_writer_are_ignored_at_every_depth() -> None:
    """Additive changes are how v1 grows: an old reader must not trip over them."""
    found = parse_event(
        "plan.created",
        {"plan_id": "p", "new": 1, "items": [{"task_id": "a", "title": "A", "newer": {}}]},
    )

    assert isinstance(found, PlanCreated)
    assert found.items[0].title == "A"


def test_a_type_of_a_newer_writer_passes_through_untouched() -> None:
    found = parse_event("run.teleported", {"to": ["mars", None]})

    assert found == UnknownEvent(type="run.teleported", fields={"to": ["mars", None]})
    assert recorded(recorded(found).event).body == recorded(found).body


def test_a_known_type_without_what_it_needs_is_an_error() -> None:
    with pytest.raises(ValidationError, match="workflow"):
        parse_event("run.started", {})


def test_the_type_of_a_model_cannot_be_another() -> None:
    with pytest.raises(ValidationError):
        MessageDelta.model_validate({"type": "run.failed", "message_id": "m", "text": ""})


def test_an_event_is_a_fact_and_does_not_change() -> None:
    event = RunStarted(workflow="w", workflow_version="1")

    with pytest.raises(ValidationError, match="frozen"):
        event.workflow = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_time_without_its_zone_cannot_be_written() -> None:
    """A deadline in nobody's time would be read as another one in every browser."""
    with pytest.raises(ValidationError, match="timezone"):
        InputRequested(input_id="i", prompt="?", deadline=datetime(2026, 11, 21))  # noqa: DTZ001


@pytest.mark.usefixtures("no_custom_types")
def test_a_custom_type_is_parsed_into_its_registered_model() -> None:
    assert isinstance(parse_event("custom.invoice.paid", {"amount_cents": 5}), UnknownEvent)

    assert register_custom(InvoicePaid) is InvoicePaid

    found = parse_event("custom.invoice.paid", {"amount_cents": 5, "added_later": True})
    assert found == InvoicePaid(amount_cents=5)


@pytest.mark.usefixtures("no_custom_types")
def test_registering_a_model_once_more_is_harmless() -> None:
    """A module that is imported anew brings its classes along."""
    again = type("InvoicePaid", (InvoicePaid,), {"__module__": __name__})
    register_custom(InvoicePaid)
    register_custom(again)

    assert type(parse_event("custom.invoice.paid", {"amount_cents": 5})) is again


@pytest.mark.usefixtures("no_custom_types")
@pytest.mark.parametrize("other", [{"__module__": "elsewhere"}, {"__qualname__": "Another"}])
def test_two_models_cannot_share_a_custom_type(other: dict[str, str]) -> None:
    register_custom(InvoicePaid)
    namesake = type("InvoicePaid", (InvoicePaid,), {"__module__": __name__, **other})

    with pytest.raises(ValueError, match=r"already registered as .*\.InvoicePaid"):
        register_custom(namesake)


@pytest.mark.usefixtures("no_custom_types")
@pytest.mark.parametrize(
    "type_",
    [
        "run.started",
        "invoice.paid",
        "custom",
        "custom.",
        "custom.A",
        "custom.a b",
        "custom.é",
        "custom." + "a" * 58,
    ],
)
def test_a_name_that_is_not_an_application_s_to_take_is_refused(type_: str) -> None:
    model = type("Taken", (CustomEvent,), {"__annotations__": {"type": str}, "type": type_})

    with pytest.raises(ValueError, match=r"custom\.|event type"):
        register_custom(model)


@pytest.mark.usefixtures("no_custom_types")
def test_a_custom_model_must_fix_its_type() -> None:
    class Typeless(CustomEvent):
        amount: int

    with pytest.raises(ValueError, match="must default"):
        register_custom(Typeless)


def test_the_form_of_a_type_is_dotted_lower_case() -> None:
    assert TYPE_FORM.fullmatch("custom.a.b_2")
    for name in ("a", "a.", ".a", "A.b", "a..b", "a.b\n"):
        with pytest.raises(ValueError, match="no event type"):
            check_type_name(name)
