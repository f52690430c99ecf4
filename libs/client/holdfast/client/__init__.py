"""The Python client of Holdfast's gateway: `Holdfast` asks, its followers bring every event
exactly once.
"""

from holdfast.client.answers import Page, Ticket
from holdfast.client.backoff import Backoff
from holdfast.client.errors import AnswerInvalid, ClientError, ProblemError, Unreachable
from holdfast.client.follow import Followed, Follower
from holdfast.client.holdfast import Holdfast
from holdfast.client.position import Reset
from holdfast.client.status import Counters, State, Status

__all__ = [
    "AnswerInvalid",
    "Backoff",
    "ClientError",
    "Counters",
    "Followed",
    "Follower",
    "Holdfast",
    "Page",
    "ProblemError",
    "Reset",
    "State",
    "Status",
    "Ticket",
    "Unreachable",
]
