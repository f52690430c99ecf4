"""A process' line to its supervisor, from the process' side."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from holdfast.processes import link as module
from holdfast.processes.link import Link, SupervisorSilent
from holdfast.processes.words import HEADER, VARIABLE, Word, frame, opened


@dataclass
class Told:
    """A link, the supervisor's end of its line, and what the process was told."""

    link: Link
    line: socket.socket
    words: list[str] = field(default_factory=list[str])

    async def heard(self) -> tuple[Word, bytes]:
        loop = asyncio.get_running_loop()
        header = await loop.sock_recv(self.line, HEADER.size)
        kind, length = opened(header)
        return Word(kind), await loop.sock_recv(self.line, length) if length else b""

    async def say(self, word: Word, payload: bytes = b"") -> None:
        await asyncio.get_running_loop().sock_sendall(self.line, frame(word, payload))

    async def until(self, word: str) -> None:
        async with asyncio.timeout(10):
            while word not in self.words:  # noqa: ASYNC110 - it is said in another thread
                await asyncio.sleep(0.01)


@asynccontextmanager
async def linked() -> AsyncGenerator[Told]:
    ours, its = socket.socketpair()
    ours.setblocking(False)
    told = Told(Link(its, None, 3), ours)
    told.link.serve(
        metrics=lambda: b"counted 1\n",
        drain=lambda: told.words.append("drain"),
        leave=lambda: told.words.append("leave"),
    )
    try:
        assert await told.heard() == (Word.READY, b"")
        yield told
    finally:
        ours.close()
        # The thread ends with the line; then nothing is left open.
        await told.until("drain")
        its.close()


async def test_it_answers_and_does_as_it_is_told():
    async with linked() as told:
        await told.say(Word.PING)
        await told.say(Word.TELL)
        answers = [await told.heard(), await told.heard()]
        await told.say(Word.LEAVE)
        await told.until("leave")

        assert answers == [(Word.PONG, b""), (Word.TOLD, b"counted 1\n")]
        assert "drain" not in told.words


async def test_whoever_asks_for_all_meanwhile_gets_the_same_answer():
    async with linked() as told:
        asking = [asyncio.create_task(told.link.everyone()) for _ in range(3)]
        assert await told.heard() == (Word.EVERYONE, b"")
        await told.say(Word.ALL, b"of all")

        assert await asyncio.gather(*asking) == [b"of all"] * 3


async def test_a_silent_supervisor_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "EVERYONE_S", 0.05)
    async with linked() as told:
        with pytest.raises(SupervisorSilent):
            await told.link.everyone()
        asked_again = asyncio.create_task(told.link.everyone())
        assert [(await told.heard())[0] for _ in range(2)] == [Word.EVERYONE] * 2
        await told.say(Word.ALL, b"of all")

        assert await asked_again == b"of all"


async def test_what_cannot_be_a_frame_ends_the_line_and_the_process():
    async with linked() as told:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(told.line, HEADER.pack(Word.TELL, 2**32 - 1))
        await told.until("drain")


def test_a_process_that_runs_alone_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)

    assert Link.of_environment() is None


def test_what_a_process_starts_itself_has_no_part_in_it(monkeypatch: pytest.MonkeyPatch):
    ours, its = socket.socketpair()
    monkeypatch.setenv(VARIABLE, f"{os.dup(its.fileno())},-1,2")

    link = Link.of_environment()

    assert link is not None
    assert link.number == 2
    assert VARIABLE not in os.environ
    link.close()
    ours.close()
    its.close()
