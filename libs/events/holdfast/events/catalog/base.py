"""What every event model has in common, and the small records they are made of."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Milliseconds = int
"""A duration, in whole milliseconds of the worker's monotonic clock."""


class Record(BaseModel):
    """A frozen value: closed when written (an unknown field is an error), tolerant when read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Event(Record):
    """A fact about a session. Subclasses fix `type` and declare the fields of the wire's `data`.

    An Event has no seq: only appending gives it one (see `RecordedEvent`).
    """

    # Raised when the meaning of a type's fields changes; readers then upcast older rows.
    schema_v: ClassVar[int] = 1

    type: str

    def data(self) -> Mapping[str, Any]:
        """Return the fields of the wire's `data` object; None is left out, nested records stay as they are."""
        return {k: v for k, v in self.__dict__.items() if v is not None and k != "type"}


class ErrorInfo(Record):
    """An error as a user may see it: no stack trace, no secret."""

    code: str = Field(description="kebab-case, stable: what programs look at")
    message: str = Field(description="one sentence for a person")
    retryable: bool = Field(default=False, description="whether doing the same again may help")
    details: dict[str, JsonValue] | None = None


class Usage(Record):
    """Tokens that a model call consumed."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
