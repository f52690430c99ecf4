"""The checker: a history in, what it breaks out. Pure, and one pass over each part of the history.

Nothing in a history is trusted, the log least: a log that contradicts itself is a violation, not an error.
"""

from collections.abc import Callable, Iterator, Mapping

from holdfast.verify import checks_asks, checks_bounds, checks_clients, checks_log
from holdfast.verify.history import History
from holdfast.verify.index import Index
from holdfast.verify.invariants import Invariant
from holdfast.verify.violation import Violation
from holdfast.verify.witness import with_witness

Check = Callable[[Index], Iterator[Violation]]

CHECKS: Mapping[Invariant, Check] = {
    Invariant.DURABILITY: checks_asks.durability,
    Invariant.DENSE_LOG: checks_log.dense_log,
    Invariant.CLIENT_ORDER: checks_clients.client_order,
    Invariant.DURABLE_BEFORE_VISIBLE: checks_clients.durable_before_visible,
    Invariant.AGREEMENT: checks_clients.agreement,
    Invariant.ONE_TERMINAL: checks_log.one_terminal,
    Invariant.STEP_ONCE: checks_log.step_once,
    Invariant.SINGLE_WRITER: checks_log.single_writer,
    Invariant.COMMANDS: checks_asks.commands,
    Invariant.LIVENESS: checks_bounds.liveness,
    Invariant.BOUNDED: checks_bounds.bounded,
    Invariant.ISOLATION: checks_clients.isolation,
    Invariant.ROW_AND_LOG: checks_asks.row_and_log,
}

# Of each invariant the first places are shown and the rest counted: what follows a first error is mostly its echo.
SHOWN_MAX = 3


def sentence(invariant: Invariant) -> str:
    """Return the invariant in exact words."""
    return " ".join((CHECKS[invariant].__doc__ or "").split())


def check(history: History) -> list[Violation]:
    """Return what the history breaks, in the order of the invariants, each with its witness; nothing is a pass.

    A check yields at most one violation for each session, run, client or append: its first.
    """
    index = Index(history)
    found: list[Violation] = []
    for check_one in CHECKS.values():
        broken = sorted(check_one(index), key=_place)
        shown = [with_witness(index, violation) for violation in broken[:SHOWN_MAX]]
        if len(broken) > SHOWN_MAX:
            shown[-1] = shown[-1].counting(len(broken) - SHOWN_MAX)
        found += shown
    return found


def _place(violation: Violation) -> tuple[str, int, float]:
    return (violation.session or "", violation.seq or 0, violation.at or 0.0)
