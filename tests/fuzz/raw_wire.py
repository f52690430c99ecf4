"""The other end of a raw case: what came back, read strictly, and what is wrong with it."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from tests.fuzz.raw_cases import PAUSE_S, Case
from tests.fuzz.target import HEADER_TIMEOUT_S

# Silence for so long is a hang: the gateway that is fuzzed gives up on a header after 0.6 s and on a body after 0.8 s,
# and the rest is for a machine that does other things as well.
DEADLINE_S = 10.0

# A second answer comes with the first one or right behind it.
LINGER_S = 0.02

_READ_BYTES = 64 * 1024


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    is_whole: bool

    @property
    def is_stream(self) -> bool:
        return self.headers.get(b"content-type", b"").startswith(b"text/event-stream")


@dataclass
class Outcome:
    """What became of a case."""

    answers: list[Answer] = field(default_factory=list[Answer])
    closed: bool = False
    in_time: bool = True
    sent_s: float = 0.0  # how long the sending took
    garbage: bytes = b""


class NotHttp(Exception):
    """The server sent what is no response."""


def parse(blob: bytes, method: str) -> tuple[list[Answer], bytes]:
    """Return the answers that begin in `blob`, and what follows them. Raises NotHttp."""
    answers: list[Answer] = []
    while blob:
        head, end, rest = blob.partition(b"\r\n\r\n")
        if not end:
            return answers, blob
        first, *lines = head.split(b"\r\n")
        version, _, status = first.partition(b" ")
        if version != b"HTTP/1.1" or not status[:3].isdigit():
            raise NotHttp(first[:100])
        pairs = [line.partition(b": ") for line in lines]
        if any(
            not colon or not name or b"\n" in line
            for (name, colon, _), line in zip(pairs, lines, strict=True)
        ):
            raise NotHttp(head[:300])
        headers = {name.lower(): value for name, _, value in pairs}
        if len(headers) != len(pairs):
            raise NotHttp(b"a header stands twice: " + head[:300])
        code = int(status[:3])
        if code == 100:
            blob = rest
            continue
        body, rest, is_whole = _body(code, method, headers, rest)
        answers.append(Answer(code, headers, body, is_whole))
        blob = rest
        if not is_whole:
            break
    return answers, b""


def _body(
    code: int, method: str, headers: dict[bytes, bytes], rest: bytes
) -> tuple[bytes, bytes, bool]:
    if code in (204, 304) or method == "HEAD":
        return b"", rest, True
    if headers.get(b"transfer-encoding") == b"chunked":
        return _chunks(rest)
    length = int(headers.get(b"content-length", b"-1"))
    if length < 0:
        raise NotHttp(b"a body without an end: %r" % headers)
    return rest[:length], rest[length:], len(rest) >= length


def _chunks(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, b"", False
        length = int(size, 16)
        if len(rest) < length + 2:
            return body + rest[:length], b"", False
        body += rest[:length]
        rest = rest[length + 2 :]
        if length == 0:
            return body, rest, True


async def attempt(port: int, case: Case) -> Outcome:
    """Send a case and read until it is answered, hung up on or out of time."""
    outcome = Outcome()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, case, outcome))
    try:
        await _read(reader, case, outcome)
    except NotHttp as error:
        outcome.garbage = error.args[0]
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await sending
        writer.transport.abort()
    return outcome


async def _send(writer: asyncio.StreamWriter, case: Case, outcome: Outcome) -> None:
    begun = time.monotonic()
    # A server that has had enough hangs up before everything is sent: that is an answer, too.
    with suppress(OSError):
        for number, piece in enumerate(case.pieces):
            if number:
                await asyncio.sleep(PAUSE_S)
            writer.write(piece)
            await writer.drain()
            outcome.sent_s = time.monotonic() - begun
        if case.hang_up:
            writer.write_eof()


async def _read(reader: asyncio.StreamReader, case: Case, outcome: Outcome) -> None:
    blob = b""
    while not outcome.closed:
        is_answered = _is_answered(outcome, case)
        patience = LINGER_S if is_answered else DEADLINE_S
        try:
            async with asyncio.timeout(patience):
                chunk = await reader.read(_READ_BYTES)
        except TimeoutError:
            outcome.in_time = is_answered
            return
        except OSError:
            chunk = b""
        blob += chunk
        outcome.closed = not chunk
        outcome.answers, _ = parse(blob, case.method)
        if outcome.answers and outcome.answers[-1].is_stream and outcome.answers[-1].body:
            return


def _is_answered(outcome: Outcome, case: Case) -> bool:
    whole = sum(answer.is_whole for answer in outcome.answers)
    expected = case.answers if case.must_answer else 1
    return whole >= expected


def is_late(case: Case, outcome: Outcome) -> bool:
    """Tell whether nothing worse than lateness is wrong."""
    return not outcome.in_time or _is_owed_an_answer(case, outcome)


def faults(case: Case, outcome: Outcome) -> list[str]:
    """Return what must not have happened."""
    found: list[str] = []
    if outcome.garbage:
        found.append(f"not HTTP: {outcome.garbage!r}")
    if not outcome.in_time:
        whole = sum(answer.is_whole for answer in outcome.answers)
        found.append(f"silence for {DEADLINE_S:g} s after {whole} answers")
    elif _is_owed_an_answer(case, outcome):
        found.append("hung up on without an answer")
    if len(outcome.answers) > case.answers:
        found.append(f"{len(outcome.answers)} answers to {case.answers} requests")
    for answer in outcome.answers:
        found += _faults_of(answer, case, is_last=answer is outcome.answers[-1])
    return found


def _is_owed_an_answer(case: Case, outcome: Outcome) -> bool:
    if outcome.answers or outcome.garbage or not case.must_answer:
        return False
    # On a crowded machine a sender may be slower than it meant to be, and be given up on with good reason.
    return outcome.sent_s < HEADER_TIMEOUT_S / 2


def _faults_of(answer: Answer, case: Case, *, is_last: bool) -> list[str]:
    found: list[str] = []
    if answer.status >= 500:
        found.append(f"status {answer.status}: {answer.body[:300]!r}")
    if not answer.is_whole and not (answer.is_stream and is_last):
        found.append(f"half an answer of status {answer.status}")
    if answer.status >= 400 and answer.is_whole and case.method != "HEAD":
        found += _faults_of_problem(answer)
    if b"smuggled" in answer.headers.get(b"location", b"") + answer.body and case.answers == 1:
        found.append("a smuggled request was answered")
    return found


def _faults_of_problem(answer: Answer) -> list[str]:
    if answer.headers.get(b"content-type") != b"application/problem+json":
        return [f"status {answer.status} is no problem document: {answer.headers!r}"]
    try:
        document = orjson.loads(answer.body)
    except ValueError:
        return [f"a problem document is not JSON: {answer.body[:300]!r}"]
    if document.get("status") != answer.status or not document.get("code"):
        return [f"a problem document contradicts its status: {answer.body[:300]!r}"]
    return []
