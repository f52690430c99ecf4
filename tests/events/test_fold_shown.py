"""What a state says of components, questions, shared state and what is left to keep."""

from holdfast.events import catalog as c
from holdfast.events.fold import to_plain
from tests.events.states import at, only, state_of


def test_the_same_component_id_replaces_the_earlier_one_in_its_place() -> None:
    state = state_of(
        at(c.ComponentRendered(component_id="1", component_type="chart", content=1)),
        at(c.ComponentRendered(component_id="2", component_type="form", content=2)),
        at(c.ComponentRendered(component_id="1", component_type="table", content=3), run="r2"),
    )

    shown = [
        (e["component_id"], e["component_type"], e["content"])
        for e in to_plain(state)["components"]
    ]
    assert shown == [("1", "table", 3), ("2", "form", 2)]


def test_a_question_is_pending_until_it_is_answered_or_expires() -> None:
    schema = {"type": "string"}
    state = state_of(
        *(at(c.InputRequested(input_id=i, prompt=i, value_schema=schema)) for i in "abc"),
        at(c.InputReceived(input_id="a", value=1, duration_ms=1)),
        at(c.InputExpired(input_id="c", duration_ms=1)),
    )

    asked = only(state, "pending_inputs")
    assert (asked["input_id"], asked["run_id"], asked["value_schema"]) == ("b", "r", schema)


def test_the_shared_state_is_its_snapshot_and_the_changes_since() -> None:
    state = state_of(
        at(c.StateUpdated(changes={"old": 1})),
        at(c.StateSnapshot(state={"a": 1, "b": None})),
        at(c.StateUpdated(changes={"a": None, "c": {"d": None}, "never": None})),
    )

    assert state.shared == {"b": None, "c": {"d": None}}


def test_artifacts_notices_and_the_last_checkpoint_are_shown() -> None:
    state = state_of(
        at(c.ArtifactCreated(artifact_id="x", name="x.py", uri="u", size=3)),
        at(c.NotificationSent(text="Saved.", level="success")),
        at(c.CheckpointSaved(checkpoint_id="1")),
        at(c.CheckpointSaved(checkpoint_id="2", next=("qa",))),
        at(c.CheckpointRestored(checkpoint_id="1")),
    )

    assert only(state, "artifacts")["uri"] == "u"
    assert only(state, "notifications")["level"] == "success"
    assert (state.checkpoint["checkpoint_id"], state.checkpoint["next"]) == ("2", ["qa"])
