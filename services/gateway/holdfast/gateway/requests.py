"""What is sent, as models: they check requests and make the OpenAPI document.

Requests are closed: an unknown field is an error, since a typo must not pass for a default.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
)

from holdfast.events.catalog.custom import TYPE_LENGTH_MAX
from holdfast.events.codec import EVENT_BYTES_MAX, to_json
from holdfast.events.commands import OnBusy
from holdfast.events.slots import AGEING_S, PRIORITY_MAX, PRIORITY_MIN, TIMEOUT_MAX_S

# One to 128 letters, digits, dots, dashes and underscores, but not `.` or `..`: clients, proxies and servers resolve
# those in a path, so that nobody could ever ask for a session of that name. (Spelled out: the validator's regular
# expressions know no look-ahead.)
ID_PATTERN = (
    r"^(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
    r"|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}"
    r"|\.\.[A-Za-z0-9._-]{1,126})$"
)

TTL_MIN_S = 60
TTL_MAX_S = 30 * 24 * 3600

# Metadata is read with every look-up of its session and stands in its first event.
METADATA_BYTES_MAX = 16 * 1024

# A start further away than a year is a mistake in a unit or a calendar.
START_AT_DAYS_MAX = 366

# Of an application's own event, its data and its metadata each: content that is larger belongs elsewhere, and a
# reference to it here.
OWN_EVENT_BYTES_MAX = 64 * 1024

# What a run is told becomes an event: there has to be room for what else stands in that.
VALUE_BYTES_MAX = EVENT_BYTES_MAX - 16 * 1024

REASON_LENGTH_MAX = 500
NAME_LENGTH_MAX = 200

Reason = Annotated[str, Field(max_length=REASON_LENGTH_MAX, description="for people; recorded")]


def _whole(given: Any) -> Any:
    """Return what is meant by a number that is one of JSON's integers."""
    # To JSON Schema and to JavaScript 60.0 is an integer; "60" and true are none.
    return int(given) if isinstance(given, float) and given.is_integer() else given


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SessionCreate(_Request):
    """A session to create. Every field is optional; so is the whole body."""

    session_id: str | None = Field(
        default=None, pattern=ID_PATTERN, description="an id of yours; without one, one is made"
    )
    ttl_s: int | None = Field(
        default=None,
        strict=True,
        ge=TTL_MIN_S,
        le=TTL_MAX_S,
        description="seconds after which the session expires",
    )
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="kept with the session and in its first event, 16 KB at most",
    )

    _whole = field_validator("ttl_s", mode="before")(_whole)

    @field_validator("metadata")
    @classmethod
    def _small(cls, metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if (size := len(to_json(metadata))) > METADATA_BYTES_MAX:
            raise ValueError(f"{size:,} bytes are over the cap of {METADATA_BYTES_MAX:,} bytes")
        return metadata


class RunCreate(_Request):
    """A run to start."""

    workflow: str = Field(min_length=1, max_length=NAME_LENGTH_MAX, description="its name")
    input: JsonValue = Field(
        default=None, description="checked against the workflow's input schema"
    )
    on_busy: OnBusy = Field(
        default=OnBusy.ENQUEUE, description="what to do while another run of the session is open"
    )
    start_at: AwareDatetime | None = Field(
        default=None, description="not before this moment (with a time zone); without one, at once"
    )
    user_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=NAME_LENGTH_MAX,
        description="on whose behalf; shown in the run's events",
    )
    priority: int = Field(
        default=0,
        strict=True,
        ge=PRIORITY_MIN,
        le=PRIORITY_MAX,
        description=f"who waits less: a point is worth {AGEING_S:g} s of waiting",
    )
    timeout_s: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=TIMEOUT_MAX_S,
        allow_inf_nan=False,
        description="how long it may take from its first start, waits included; its workflow's own limit holds, too",
    )

    _whole = field_validator("priority", mode="before")(_whole)

    @field_validator("start_at")
    @classmethod
    def _soon(cls, start_at: datetime | None) -> datetime | None:
        if start_at is None:
            return None
        try:
            start_at = start_at.astimezone(UTC)
        except OverflowError:
            raise ValueError("is not a moment that a calendar holds") from None
        if start_at > datetime.now(UTC) + timedelta(days=START_AT_DAYS_MAX):
            raise ValueError(f"is more than {START_AT_DAYS_MAX} days ahead")
        return start_at


class RunCancel(_Request):
    """Why a run is cancelled; the body may be left out."""

    reason: Reason | None = None


class EventCreate(_Request):
    """An application's own event."""

    type: str = Field(
        pattern=r"^custom(\.[a-z0-9_]+)+$",
        max_length=TYPE_LENGTH_MAX,
        description="lower-case words joined by dots, under `custom.`",
    )
    data: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="the event's fields; checked where its model is registered",
    )
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("data", "metadata")
    @classmethod
    def _bounded(cls, given: dict[str, JsonValue]) -> dict[str, JsonValue]:
        size = len(to_json(given))
        if size > OWN_EVENT_BYTES_MAX:
            raise ValueError(f"{size:,} bytes are over {OWN_EVENT_BYTES_MAX:,}")
        return given


class InputAnswer(_Request):
    """The answer to a run's request for input; without an `input_id`, a word to a run that did not ask."""

    input_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=NAME_LENGTH_MAX,
        description="the request's; absent: the run is steered with the value",
    )
    value: JsonValue = Field(description="checked against the schema that the request names")

    @field_validator("value")
    @classmethod
    def _bounded(cls, given: JsonValue) -> JsonValue:
        if (size := len(to_json(given))) > VALUE_BYTES_MAX:
            raise ValueError(f"{size:,} bytes are over {VALUE_BYTES_MAX:,}")
        return given
