"""The checker has teeth: a history that is broken in one place is found out, and one that isn't is let pass."""

import random
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from holdfast.verify import CHECKS, History, Invariant, SessionLog, check
from tests.verify.corruptions import CORRUPTIONS
from tests.verify.histories import valid

SEEDS = st.integers(0, 2**32)

# A history of some 150 events is made and checked in 5 ms; on a busy machine one may take a second.
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(seed=SEEDS, runs=st.integers(0, 5), clients=st.integers(0, 8))
def test_a_history_that_keeps_every_promise_passes(seed: int, runs: int, clients: int):
    history = valid(seed, runs=max(2, runs), clients=clients)

    assert check(history) == []


@pytest.mark.parametrize("name", CORRUPTIONS)
@settings(quick, max_examples=10)
@given(seed=SEEDS, place=SEEDS)
def test_a_history_that_is_broken_in_one_place_is_found_out(name: str, seed: int, place: int):
    invariant, corrupt = CORRUPTIONS[name]
    history = deepcopy(valid(seed))
    assume(corrupt(history, random.Random(place)))

    found = check(history)

    assert invariant in {violation.invariant for violation in found}


def test_every_invariant_is_broken_by_something():
    assert {invariant for invariant, _ in CORRUPTIONS.values()} == set(Invariant)
    assert set(CHECKS) == set(Invariant)


def test_a_history_of_nothing_passes():
    assert check(History()) == []


@pytest.mark.parametrize(
    ("seqs", "bad"), [((1, 2, 4), 3), ((2, 3), 1), ((1, 2, 2, 3), 2), ((1, 3, 2), 2), ((1, 2), 3)]
)
def test_the_first_bad_seq_of_a_log_is_named(seqs: tuple[int, ...], bad: int):
    event = valid(1).logs[0].events[0]
    events = [replace(event, seq=seq, said_seq=seq, session="s") for seq in seqs]

    found = check(History(logs=[SessionLog(session="s", events=events, head=3)]))

    assert [(one.invariant, one.seq) for one in found] == [(Invariant.DENSE_LOG, bad)]


def test_what_is_still_under_way_is_no_violation():
    """Before everything has come to rest runs may be open and clients behind; order holds all the same."""
    history = deepcopy(valid(1, clients=2))
    for name in ("a_run_never_ends", "a_client_waits_for_the_end", "a_command_stays_open"):
        CORRUPTIONS[name][1](history, random.Random(1))
    history.runs.clear()

    assert check(replace(history, settled=False)) == []


def test_erased_events_are_not_missed():
    """An erasure leaves its own event only; what clients saw before it was true then."""
    history = deepcopy(valid(3, sessions=1, clients=0))
    log = history.logs[0]
    head = log.head + 1
    tombstone = replace(
        log.events[0], seq=head, said_seq=head, type="session.erased", epoch=log.epoch
    )
    erased = replace(log, events=[tombstone], head=head, min_seq=head)
    history.copies.clear()
    history.calls.clear()
    history.asks.clear()

    assert check(replace(history, logs=[erased])) == []
