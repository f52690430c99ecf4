"""Who is next, and who may begin: the order of the queue, and limits on how many runs are at work at once.

**Order.** A run's turn is the moment at which it became due, less AGEING_S for each point of its priority: among all
that wait the earliest turn is next. So a point is worth six seconds of waiting, and priority never starves anybody: a
run of priority p is passed only by runs that became due within (PRIORITY_MAX - p) * AGEING_S after it, that is 10 min
for an ordinary run and 20 min for the least important one. What is begun and has lost its worker, and what was said to
a session (a cancel, an answer), counts as PRIORITY_MAX.

**Slots.** A run at work holds a slot of its workflow and one of its tenant; a child is part of its root's. It gets
them with the claim of its session, and from nobody else: an owner whose next run needs a slot gives the session back,
so that the first of all gets it, and one session with a hundred runs takes no more than its turn. It keeps them
whatever becomes of its worker, and gives them back when it ends or begins to wait: a run that waits for a person or an
hour holds none, and queues again when it is due.
"""

from enum import StrEnum

# Both directions from an ordinary 0, so that what is less important than everything else needs no change elsewhere.
PRIORITY_MIN, PRIORITY_MAX = -100, 100

# What one point of priority is worth: 100 points are ten minutes.
AGEING_S = 6.0

# A limit on a run's time beyond a year is a mistake in a unit.
TIMEOUT_MAX_S = 366 * 24 * 3600.0


class Hold(StrEnum):
    """What a run waits for that no worker has taken up, beside a worker."""

    TIME = "time"  # its `start_at`
    TURN = "turn"  # another run of its session comes first
    WORKFLOW_LIMIT = "workflow-limit"  # as many runs of its workflow are at work as may be
    TENANT_LIMIT = "tenant-limit"  # as many runs of its tenant are at work as may be


def check_request(priority: int, timeout_s: float | None) -> None:
    """Raise ValueError for a priority or a limit that no run can have."""
    if not PRIORITY_MIN <= priority <= PRIORITY_MAX:
        raise ValueError(f"a priority is from {PRIORITY_MIN} to {PRIORITY_MAX}, not {priority}")
    if timeout_s is not None and not 0 < timeout_s <= TIMEOUT_MAX_S:
        raise ValueError(f"a timeout is above 0 and at most {TIMEOUT_MAX_S:g} s, not {timeout_s:g}")
