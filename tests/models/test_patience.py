"""How long the pauses between requests are, to the number."""

import random

import pytest

from holdfast.events.clock import SystemClock
from holdfast.orchestrator.models.errors import RateLimited
from holdfast.orchestrator.models.patience import Patience, backoff_s
from holdfast.orchestrator.models.provider import retry_after_s


class Middle(random.Random):
    """No jitter: always the middle of the range."""

    def random(self) -> float:
        return 0.5


def busy(retry_after_s: float | None = None) -> RateLimited:
    return RateLimited("busy", retry_after_s=retry_after_s)


def test_pauses_double_up_to_a_bound():
    pauses = [backoff_s(busy(), attempt, Middle()) for attempt in range(1, 8)]

    assert pauses == [0.5, 1, 2, 4, 8, 8, 8]


def test_pauses_spread_by_half_either_way():
    pauses = [backoff_s(busy(), 1, random.Random(seed)) or 0 for seed in range(200)]

    assert 0.25 <= min(pauses) < 0.3
    assert 0.7 < max(pauses) <= 0.75


@pytest.mark.parametrize(
    ("asked", "pause"), [(0, 0.5), (5, 5), (30, 30), (30.1, None), (86_400, None)]
)
def test_the_providers_wish_is_a_floor_and_too_long_a_wish_ends_it(
    asked: float, pause: float | None
):
    assert backoff_s(busy(asked), 1, Middle()) == pause


@pytest.mark.parametrize(
    ("headers", "wish"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wish: float | None):
    assert retry_after_s(headers, now_s=40) == wish


async def test_no_pause_begins_that_would_outlast_the_answers_time():
    patience = Patience(10, SystemClock())

    assert await patience.pause(10) is False
