"""The log itself, broken in one place each."""

import random
from dataclasses import replace

from holdfast.verify import Call, History, Invariant
from tests.verify.breaking import breaks, change, extend, rows


@breaks(Invariant.DENSE_LOG)
def the_log_lacks_an_event(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history))
    del of[place]
    return True


@breaks(Invariant.DENSE_LOG)
def the_log_has_an_event_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history))
    of.insert(place, of[place])
    return True


@breaks(Invariant.DENSE_LOG)
def an_event_says_another_seq(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), said_seq=0)


@breaks(Invariant.DENSE_LOG)
def the_log_is_shorter_than_its_head(history: History, chance: random.Random) -> bool:
    del chance.choice(history.logs).events[-1]
    return True


@breaks(Invariant.ISOLATION)
def the_log_has_an_event_of_another_session(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), session="other")


@breaks(Invariant.ONE_TERMINAL)
def a_run_ends_again(history: History, chance: random.Random) -> bool:
    return extend(history, chance, "run.failed")


@breaks(Invariant.ONE_TERMINAL)
def a_run_goes_on_after_its_end(history: History, chance: random.Random) -> bool:
    return extend(history, chance, "message.delta")


@breaks(Invariant.LIVENESS)
def a_run_never_ends(history: History, chance: random.Random) -> bool:
    ends = rows(history, "run.completed", "run.failed", "run.cancelled")
    return change(chance, ends, type="message.delta")


@breaks(Invariant.SINGLE_WRITER)
def an_epoch_goes_back(history: History, chance: random.Random) -> bool:
    return change(chance, [found for found in rows(history) if found[1] > 0], epoch=0)


@breaks(Invariant.SINGLE_WRITER)
def an_epoch_is_above_the_sessions(history: History, chance: random.Random) -> bool:
    return change(chance, rows(history), epoch=10**6)


@breaks(Invariant.STEP_ONCE)
def a_step_is_completed_twice(history: History, chance: random.Random) -> bool:
    # Every completed step is followed by a piece of text of its run.
    of, place = chance.choice(rows(history, "step.completed"))
    of[place + 1] = replace(of[place + 1], type="step.completed", step=of[place].step)
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_never_begun(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    of[place] = replace(of[place], step="another")
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_is_completed_by_another_owner(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    for later in range(place, len(of)):
        of[later] = replace(of[later], epoch=of[later].epoch + 1)
    return True


@breaks(Invariant.STEP_ONCE)
def a_key_is_recorded_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "step.completed"))
    of[place + 1] = replace(of[place + 1], key=of[place].key)
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_called_without_a_beginning(history: History, chance: random.Random) -> bool:
    call = chance.choice(history.calls)
    history.calls.append(replace(call, attempt=99))
    return True


@breaks(Invariant.STEP_ONCE)
def a_step_was_called_twice_in_an_attempt(history: History, chance: random.Random) -> bool:
    call: Call = chance.choice(history.calls)
    history.calls.append(call)
    return True
