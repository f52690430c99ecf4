"""What is sent and what is answered, as models: they check requests and make the OpenAPI document.

Requests are closed (an unknown field is an error: a typo must not pass for a default); answers may grow.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, field_validator

from holdfast.events.catalog.custom import TYPE_LENGTH_MAX
from holdfast.events.codec import EVENT_BYTES_MAX, to_json
from holdfast.events.commands import OnBusy
from holdfast.events.store import RunStatus, SessionStatus

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


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


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

    @field_validator("ttl_s", mode="before")
    @classmethod
    def _whole(cls, ttl_s: Any) -> Any:
        # To JSON Schema and to JavaScript 60.0 is an integer; "60" and true are none.
        return int(ttl_s) if isinstance(ttl_s, float) and ttl_s.is_integer() else ttl_s

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


class EventAccepted(_Answer):
    """The event was asked for; it is appended after seq `after`, or refused there with `command.rejected`."""

    session_id: str
    after: int


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


class Accepted(_Answer):
    """A run was asked for. Follow its stream after `after` and nothing of it is missed."""

    run_id: str
    session_id: str
    after: int = Field(description="the cursor to begin with")
    stream: str = Field(description="the run's stream, as a path")


class RunView(_Answer):
    """A run as it stands."""

    run_id: str
    session_id: str
    workflow: str
    workflow_version: str | None
    status: RunStatus
    input: JsonValue
    after: int = Field(description="the session's head when the run was asked for")
    attempts: int
    parent_run_id: str | None
    user_id: str | None
    trace_id: str | None
    waiting: dict[str, Any] = Field(description="inputs that the run waits for, by input id")
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stream: str = Field(description="the run's stream, as a path")


class RunSummary(_Answer):
    """A run in its session's answer."""

    run_id: str
    workflow: str
    status: RunStatus
    created_at: datetime
    ended_at: datetime | None


class SessionView(_Answer):
    """A session as it stands."""

    session_id: str
    status: SessionStatus
    head: int = Field(description="the seq of its last event; 0 when there is none yet")
    min_seq: int = Field(description="the first seq that is still kept")
    created_at: datetime
    expires_at: datetime | None
    ttl_s: int | None
    metadata: dict[str, JsonValue]
    active_run: str | None


class SessionDetail(SessionView):
    """A session with its latest runs."""

    runs: list[RunSummary] = Field(description="newest first, at most 100")


class SessionList(_Answer):
    """A page of sessions, newest first."""

    items: list[SessionView]
    next_cursor: str | None = Field(description="pass it as `cursor` for the next page")


class WorkflowView(_Answer):
    """A workflow that some worker announced."""

    name: str
    version: str
    description: str | None
    input_schema: dict[str, Any] | None = Field(description="JSON Schema 2020-12 of a run's input")
    load_error: str | None = Field(description="why it can't run, if it can't")
    workers: list[str] = Field(description="those seen lately")


class WorkflowList(_Answer):
    """Every workflow, by name."""

    items: list[WorkflowView]


class WireEvent(BaseModel):
    """An event as every reader gets it. What is empty is absent; unknown types and fields may come any day."""

    model_config = ConfigDict(extra="allow")

    v: int
    seq: int
    type: str
    session_id: str
    run_id: str | None = None
    attempt: int | None = None
    ts: datetime
    agent: str | None = None
    step: str | None = None
    lane: str | None = None
    parent_run_id: str | None = None
    task_id: str | None = None
    item_id: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    metadata: dict[str, JsonValue] | None = None
    data: dict[str, JsonValue]


class EventPage(_Answer):
    """Events in seq order. Read on with `after=next_after` while it is below `head`."""

    items: list[WireEvent]
    next_after: int = Field(
        description="every wanted event up to here is in this page or an earlier one"
    )
    head: int
    min_seq: int


class FieldError(_Answer):
    """One thing that is wrong with a request."""

    in_: str = Field(alias="in", description="body, query, header or path")
    pointer: str = Field(description="JSON pointer to the field")
    detail: str


class ProblemDocument(BaseModel):
    """An error (RFC 9457). `errors` is there when fields of the request are to blame; some codes add members."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    title: str
    status: int
    code: str = Field(description="stable, kebab-case: what programs look at")
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] | None = None
