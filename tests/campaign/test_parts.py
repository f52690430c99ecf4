"""The parts of a campaign that decide whether something is wrong: a judge that is blind would pass everything."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from holdfast.verify.history import Ask, Copy, Outcome
from holdfast.verify.log import LogEvent, SessionLog
from holdfast.verify.plan import Timeline
from tests.campaign.evidence import Notebook, Pages
from tests.campaign.judge import contiguous
from tests.campaign.load import Load
from tests.campaign.notes import Notes
from tests.campaign.points import BY_NAME, WORKER, Action, Point, Shot, shots
from tests.campaign.sketch import Sketch
from tests.campaign.takeovers import standstills

DIED_AT = 100.0


def _event(seq: int, type_: str, *, epoch: int, at: float) -> LogEvent:
    return LogEvent(
        seq=seq, type=type_, digest=b"", session="s", said_seq=seq, at=at, run_id="r", epoch=epoch
    )


def _claim(worker: str, *, epoch: int, at: float) -> tuple[str, list[dict[str, object]]]:
    return worker, [{"k": "own", "s": 1, "e": epoch, "t": at, "over": epoch > 1}]


def _standstills(
    *claims: tuple[str, list[dict[str, object]]], events: list[LogEvent], limited: str = ""
) -> list[str]:
    notes = Notes()
    for worker, lines in claims:
        notes.take(worker, lines)
    log = SessionLog(session="s", events=events, head=len(events))
    asks = [Ask(kind="start", session="s", run_id="r", at=98.0)]
    deaths = {"victim": DIED_AT}
    found = standstills(notes, deaths, {"s": 1}, [log], asks, limited={limited})
    return ["for ever" if one.claimed_s is None else f"{one.claimed_s:.1f}" for one in found]


def test_a_session_stands_still_from_its_owners_death_to_the_next_claim() -> None:
    begun = _event(1, "run.started", epoch=1, at=99.0)

    found = _standstills(
        _claim("victim", epoch=1, at=99.0), _claim("heir", epoch=2, at=102.5), events=[begun]
    )

    assert found == ["2.5"]


def test_a_session_that_was_about_to_be_given_back_and_was_kept_has_not_been_left() -> None:
    notes = Notes()
    notes.take("victim", [{"k": "own", "s": 1, "e": 1, "t": 99.0, "over": False}])
    notes.take("victim", [{"k": "gone", "s": 1, "e": 1, "t": 99.5}])
    gone = notes.owns("victim")
    notes.take("victim", [{"k": "kept", "s": 1, "e": 1}])

    assert not gone
    assert notes.owns("victim")


def test_a_session_that_nobody_claims_stands_still_for_ever() -> None:
    begun = _event(1, "run.started", epoch=1, at=99.0)

    assert _standstills(_claim("victim", epoch=1, at=99.0), events=[begun]) == ["for ever"]


def test_a_session_whose_run_had_ended_waits_for_nobody() -> None:
    over = _event(1, "run.completed", epoch=1, at=99.5)

    assert _standstills(_claim("victim", epoch=1, at=99.0), events=[over]) == []


def test_a_session_whose_next_run_waits_for_a_slot_waits_for_no_owner() -> None:
    claims = _claim("victim", epoch=1, at=99.0), _claim("heir", epoch=2, at=109.0)
    begun = _event(1, "run.started", epoch=1, at=99.0)
    begun_later = _event(1, "run.started", epoch=2, at=109.0)

    assert _standstills(*claims, events=[begun_later], limited="r") == []
    assert _standstills(*claims, events=[begun_later]) == ["9.0"]
    assert _standstills(*claims, events=[begun], limited="r") == ["9.0"]


def test_a_session_that_was_lost_before_its_owner_died_is_not_that_owners() -> None:
    begun = _event(1, "run.started", epoch=1, at=90.0)

    found = _standstills(
        _claim("victim", epoch=1, at=90.0), _claim("heir", epoch=2, at=99.0), events=[begun]
    )

    assert found == []


def _outcomes(*lines: dict[str, object]) -> list[Outcome]:
    notes = Notes()
    notes.take("w", lines)
    return [append.outcome for append in notes.appends({1: "s"})]


def _append(n: int) -> dict[str, object]:
    return {"k": "append", "n": n, "t": 1.0, "b": [[1, 1, 0, ["aa"]]]}


def test_an_append_counts_as_what_its_writer_learned_of_it() -> None:
    assert _outcomes(_append(1), {"k": "done", "n": 1, "refused": []}) == [Outcome.OK]
    assert _outcomes(_append(1), {"k": "done", "n": 1, "refused": [1]}) == [Outcome.FENCED]
    assert _outcomes(_append(1)) == [Outcome.UNKNOWN]


def test_a_refusal_after_a_lost_reply_proves_nothing() -> None:
    """The first try may have gone through: then the second is refused, and the event is in the log."""
    lost: dict[str, object] = {"k": "lost", "n": 1}
    again: dict[str, object] = {"k": "done", "n": 2, "refused": [1]}

    assert _outcomes(_append(1), lost, _append(2), again) == [Outcome.UNKNOWN, Outcome.UNKNOWN]


def test_a_torn_last_line_is_left_for_later(tmp_path: Path) -> None:
    pages, notebook = Pages(tmp_path), Notebook(tmp_path / "w.jsonl")
    notebook.count("whole")
    with pages.path("w").open("ab") as file:
        file.write(b'{"k":"count"')

    assert [line["c"] for line in pages.news("w")] == ["whole"]

    with pages.path("w").open("ab") as file:
        file.write(b',"c":"rest","n":1}\n')
    assert [line["c"] for line in pages.news("w")] == ["rest"]


def test_a_shot_is_what_its_words_say() -> None:
    for text in ("append.after:kill@3", "renew.before:delay=1.5@2"):
        assert str(Shot.of(text)) == text


@pytest.mark.parametrize("point", WORKER, ids=lambda point: point.name)
def test_a_point_is_armed_together_with_what_leads_there(point: Point) -> None:
    armed = shots(point, Action.KILL, random.Random(1), lease_s=1.0)

    assert armed[-1].point == point.name
    assert 1 <= armed[-1].at <= point.most
    assert all(shot.point in BY_NAME for shot in armed)


def test_there_are_enough_points_and_no_two_of_a_name() -> None:
    assert len({point.name for point in WORKER}) == len(WORKER) >= 25


def test_a_distribution_survives_its_file() -> None:
    sketch = Sketch()
    sketch.add([0.1] * 99 + [3.0])

    kept = Sketch(sketch.plain())

    assert kept.quantile(0.5) == pytest.approx(0.1, rel=0.1)
    assert (len(kept), kept.most) == (100, 3.0)


async def test_a_run_that_was_asked_for_counts_though_whoever_asked_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round would end before that run does, and its session's readers seem to have missed what came after."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def ask(self: Load, path: str, body: Any, key: str) -> tuple[float, dict[str, Any]]:
        asked.set()
        await answered.wait()
        return 1.0, {"run_id": "run_1", "session_id": "ses_1"}

    monkeypatch.setattr(Load, "_ask", ask)
    load = Load(["http://localhost"], tmp_path, Timeline(), random.Random(1), lambda ticket: None)
    starting = asyncio.create_task(load.start("ticker", {}, plain=True))
    await asked.wait()
    starting.cancel()
    closing = asyncio.create_task(load.close())
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    assert not closing.done()

    answered.set()
    await closing

    assert load.open == {"run_1"}
    assert {ask.run_id for ask in load.asks} == {"run_1"}


def test_a_window_with_holes_is_judged_piece_by_piece() -> None:
    events = [(seq, b"digest of %d" % seq) for seq in (7, 8, 12, 20, 21)]

    pieces = contiguous(Copy(name="window", session="ses_1", events=events, whole=False))

    assert [[seq for seq, _ in piece.events] for piece in pieces] == [[7, 8], [12], [20, 21]]
    assert {piece.session for piece in pieces} == {"ses_1"}
