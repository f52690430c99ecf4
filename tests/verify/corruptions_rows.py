"""What writers noted, commands, rows, copies and resources, broken in one place each."""

import random
from dataclasses import replace

from holdfast.verify import Append, Ask, History, Invariant, Measure, Outcome
from tests.verify.breaking import breaks, change, rows


@breaks(Invariant.DURABILITY)
def a_confirmed_append_is_gone(history: History, chance: random.Random) -> bool:
    number = chance.randrange(len(history.logs))
    log = history.logs[number]
    last: Append = next(
        a for a in reversed(history.appends) if (a.session, a.seq) == (log.session, log.head)
    )
    del log.events[-1]
    history.logs[number] = replace(log, head=log.head - 1)
    return last.outcome is Outcome.OK


@breaks(Invariant.DURABILITY)
def a_confirmed_append_was_replaced(history: History, chance: random.Random) -> bool:
    found = [(history.appends, n) for n, a in enumerate(history.appends) if a.outcome == "ok"]
    return change(chance, found, digest=b"z" * 16)


@breaks(Invariant.DURABILITY)
def a_refused_append_is_in_the_log(history: History, chance: random.Random) -> bool:
    found = [(history.appends, n) for n, a in enumerate(history.appends) if a.outcome == "ok"]
    return change(chance, found, outcome=Outcome.FENCED)


@breaks(Invariant.DURABILITY)
def an_accepted_run_is_nowhere(history: History, chance: random.Random) -> bool:
    log = chance.choice(history.logs)
    history.asks.append(Ask(kind="start", session=log.session, run_id="nowhere", at=log.head))
    return True


@breaks(Invariant.COMMANDS)
def one_key_has_two_effects(history: History, chance: random.Random) -> bool:
    starts = [ask for ask in history.asks if ask.kind == "start"]
    first, second = chance.sample(starts, 2)
    history.asks.append(replace(first, run_id=second.run_id, session=second.session))
    return True


@breaks(Invariant.COMMANDS)
def an_accepted_cancel_is_never_settled(history: History, chance: random.Random) -> bool:
    ask = chance.choice([ask for ask in history.asks if ask.kind == "start"])
    asked = {a.run_id for a in history.asks if a.kind == "cancel"}
    history.asks.append(replace(ask, kind="cancel", key="another"))
    return ask.run_id not in asked


@breaks(Invariant.COMMANDS)
def a_command_is_settled_twice(history: History, chance: random.Random) -> bool:
    of, place = chance.choice(rows(history, "command.accepted"))
    spare = [n for n, event in enumerate(of) if event.type == "message.delta"]
    if not spare:
        return False
    fields = {"type": "command.rejected", "command_id": of[place].command_id}
    return change(chance, [(of, n) for n in spare], **fields, command_kind="start")


@breaks(Invariant.COMMANDS)
def a_command_stays_open(history: History, chance: random.Random) -> bool:
    return change(
        chance, [(history.commands, n) for n in range(len(history.commands))], state="open"
    )


@breaks(Invariant.COMMANDS)
def a_settled_command_has_no_event(history: History, chance: random.Random) -> bool:
    started = [n for n, row in enumerate(history.commands) if row.kind == "start"]
    return change(chance, [(history.commands, n) for n in started], command_id="lost")


@breaks(Invariant.AGREEMENT)
def a_copy_has_a_hole(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    del events[chance.randrange(1, len(events) - 1)]
    return True


@breaks(Invariant.AGREEMENT)
def a_copy_has_other_bytes(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    place = chance.randrange(len(events))
    events[place] = (events[place][0], b"w" * 16)
    return True


@breaks(Invariant.AGREEMENT)
def a_window_has_what_the_log_has_not(history: History, chance: random.Random) -> bool:
    events = chance.choice(history.copies).events
    events.append((events[-1][0] + 1, b"v" * 16))
    return True


@breaks(Invariant.AGREEMENT)
def pages_end_too_early(history: History, chance: random.Random) -> bool:
    del chance.choice([copy for copy in history.copies if copy.whole]).events[-1]
    return True


@breaks(Invariant.ROW_AND_LOG)
def a_row_ends_otherwise_than_the_log(history: History, chance: random.Random) -> bool:
    found = [(history.runs, n) for n in range(len(history.runs))]
    return change(chance, found, status="running")


@breaks(Invariant.ROW_AND_LOG)
def a_row_ends_without_the_log(history: History, chance: random.Random) -> bool:
    ends = rows(history, "run.completed", "run.failed", "run.cancelled")
    return change(chance, ends, type="message.delta")


@breaks(Invariant.ROW_AND_LOG)
def a_row_counts_other_attempts(history: History, chance: random.Random) -> bool:
    return change(chance, [(history.runs, n) for n in range(len(history.runs))], attempts=77)


@breaks(Invariant.BOUNDED)
def descriptors_are_not_given_back(history: History, chance: random.Random) -> bool:
    history.measures.append(Measure(process="b", name="fds", before=20, after=38, most=37))
    return True
