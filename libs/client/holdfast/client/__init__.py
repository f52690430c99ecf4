"""The Python client of Holdfast's gateway: `Holdfast` asks, its followers bring every event
exactly once.
"""

from holdfast.client.answers import Page, Ticket
from holdfast.client.backoff import Backoff
from holdfast.client.blocking import BlockingFollower, BlockingHoldfast
from holdfast.client.cursor_file import CursorFileInvalid
from holdfast.client.errors import AnswerInvalid, ClientError, ProblemError, Unreachable
from holdfast.client.follow import Followed, Follower
from holdfast.client.holdfast import Holdfast
from holdfast.client.live_state import LiveState
from holdfast.client.position import Reset
from holdfast.client.status import Counters, State, Status
from holdfast.client.typed import typed

__all__ = [
    "AnswerInvalid",
    "Backoff",
    "BlockingFollower",
    "BlockingHoldfast",
    "ClientError",
    "Counters",
    "CursorFileInvalid",
    "Followed",
    "Follower",
    "Holdfast",
    "LiveState",
    "Page",
    "ProblemError",
    "Reset",
    "State",
    "Status",
    "Ticket",
    "Unreachable",
    "typed",
]
