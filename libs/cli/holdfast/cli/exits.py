"""How a command ends: its exit status, and one sentence on stderr instead of a traceback."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

import typer

from holdfast.cli.output import Output
from holdfast.client import AnswerInvalid, ProblemError, Unreachable
from holdfast.events.errors import HoldfastError

T = TypeVar("T")


class Exit(IntEnum):
    """The statuses; a shell script may rely on them."""

    OK = 0
    FAILED = 1  # the run failed or was cancelled; a check of the doctor's failed
    USAGE = 2  # bad usage or input, or a gateway's refusal
    UNREACHABLE = 3  # no gateway answered, or none that could serve
    INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT
    PIPE_CLOSED = 141  # whoever read our output went away: 128 + SIGPIPE


# Statuses of HTTP from here on are the gateway's trouble and not the caller's.
_SERVER_ERRORS = 500


def finish(output: Output, status: Exit, sentence: str | None = None) -> NoReturn:
    """End the command."""
    if sentence:
        output.complain(sentence)
    raise typer.Exit(int(status))


def bad_usage(output: Output, sentence: str) -> NoReturn:
    """End the command because of what it was given."""
    finish(output, Exit.USAGE, sentence)


def run(
    output: Output, work: Coroutine[Any, Any, T], *, interrupted: Callable[[], str] | None = None
) -> T:
    """Run `work` and return its result, or end the command in the way its failure calls for.

    After Ctrl-C a person is told what `interrupted` says.
    """
    try:
        return asyncio.run(work)
    except ProblemError as error:
        status = Exit.UNREACHABLE if error.status >= _SERVER_ERRORS else Exit.USAGE
        finish(output, status, sentence_of(error))
    except (Unreachable, AnswerInvalid) as error:
        finish(output, Exit.UNREACHABLE, str(error))
    except (HoldfastError, ValueError) as error:
        finish(output, Exit.USAGE, str(error) or type(error).__name__)
    except KeyboardInterrupt:
        output.end_line()
        if interrupted:
            output.notice(interrupted())
        raise typer.Exit(int(Exit.INTERRUPTED)) from None
    except BrokenPipeError:
        close_pipe()
        raise typer.Exit(int(Exit.PIPE_CLOSED)) from None


def close_pipe() -> None:
    """Let nothing more be written to a stdout that nobody reads, not even the interpreter's last
    flush.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def sentence_of(error: ProblemError) -> str:
    """Return a refusal in one sentence, with the fields it is about."""
    said = error.detail or error.title
    fields = "; ".join(
        " ".join(str(field[part]) for part in ("pointer", "detail") if field.get(part))
        for field in error.errors
        # Often the detail is about the one field, and says all of it.
        if str(field.get("detail")) not in said
    )
    return f"{said} ({fields})" if fields else said
