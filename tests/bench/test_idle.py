"""What a process asks of Postgres while nothing happens: bounded, however many sessions there are."""

from pathlib import Path

import pytest

from bench.idle import measure

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# Of one process, however many sessions it knows, owns and watches: a hundred such processes ask 2,000 times a second.
PER_SECOND_MAX = 20.0


def test_an_idle_process_asks_postgres_less_than_twenty_times_a_second(
    database_url: str, redis_url: str, tmp_path: Path
):
    """Renewals, head checks and looks for work are one statement for all sessions, or this grows with them."""
    found = measure(database_url, redis_url, tmp_path, sessions=600, active=100, seconds=6)

    assert {idle.who: idle.per_second < PER_SECOND_MAX for idle in found} == {
        "gateway": True,
        "worker": True,
    }, [(idle.who, idle.statements.most_common()) for idle in found]
    # The counter saw them at all.
    assert all(idle.statements for idle in found)
