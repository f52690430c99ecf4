"""The offline model: honest about what it is, the same every time, and worth looking at."""

import asyncio
import re
from contextlib import aclosing

import pytest

from holdfast.events.clock import SystemClock
from holdfast.orchestrator.models import Finished, Message, ScriptedClient, TextDelta
from holdfast.orchestrator.models.scripts import ADMISSION, reply_to, role_in, subject_in

ROLES = ["Boss", "Product manager", "Architect", "Project manager", "Engineer", "QA"]
REQUIREMENT = "a URL shortener"


class StillClock(SystemClock):
    """Time that stands still unless somebody sleeps."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.time_s += seconds


def asked(role: str, requirement: str = REQUIREMENT) -> list[Message]:
    return [
        {"role": "system", "content": f"You are the {role} of a software team."},
        {"role": "user", "content": f"Build {requirement}."},
    ]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_admits_to_be_a_script_and_speaks_about_the_requirement(role: str):
    reply = reply_to(asked(role))

    assert reply.startswith(ADMISSION)
    assert reply.count(REQUIREMENT) >= 1
    assert 60 <= len(reply.split()) <= 140


def test_the_six_roles_say_six_different_things():
    assert len({reply_to(asked(role)) for role in ROLES}) == len(ROLES)


def test_the_engineers_code_runs():
    """It asserts its own behaviour: a demo that shows broken code convinces nobody."""
    block = re.search(r"```python\n(.*?)```", reply_to(asked("Engineer")), re.DOTALL)

    assert block is not None
    exec(compile(block[1], "reply", "exec"), {"__name__": "reply"})


def test_qa_gives_a_verdict():
    assert "Verdict: PASS" in reply_to(asked("QA"))


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("You are the Product Manager. The Architect reads what you write.", "product manager"),
        ("role: project_manager", "project manager"),
        ("ProductManager", "product manager"),
        ("You are a tester", "qa"),
        ("Tell me about engineering and aqua", None),
    ],
)
def test_the_role_is_the_first_one_named(text: str, role: str | None):
    assert role_in([{"role": "system", "content": text}]) == role


def test_the_role_is_taken_from_the_system_message_even_if_others_are_quoted_before_it():
    messages = [{"role": "user", "content": "The boss said so"}, *asked("Engineer")]

    assert role_in(messages) == "engineer"


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Please build me a URL shortener!", "a URL shortener"),
        ("Context\nRequirement: a todo list\nPlan: …", "a todo list"),
        ("**Requirement:** a todo list", "a todo list"),
        ([{"type": "text", "text": "Create a chess clock"}], "a chess clock"),
        ("", "this requirement"),
    ],
)
def test_the_subject_is_what_the_person_asked_for(text: object, subject: str):
    assert subject_in([{"role": "user", "content": text}]) == subject


def test_a_pasted_document_is_not_repeated_in_every_answer():
    assert len(subject_in([{"role": "user", "content": "word " * 10_000}])) <= 80


async def test_words_stream_at_the_given_pace_and_join_to_the_whole_reply():
    clock = StillClock()

    chunks = [c async for c in ScriptedClient(clock=clock).stream(asked("Boss"))]

    *words, last = chunks
    texts = [c.text for c in words if isinstance(c, TextDelta)]
    assert "".join(texts) == reply_to(asked("Boss"))
    assert len(texts) == len(words) == len(reply_to(asked("Boss")).split())
    assert clock.time_s == pytest.approx(len(words) * 0.005)
    assert isinstance(last, Finished)
    assert (last.finish_reason, last.model, last.time_to_first_token_ms) == (
        "stop",
        "scripted-offline",
        5,
    )
    assert last.usage is not None
    assert last.usage.output_tokens == len(words)


async def test_the_same_question_gets_the_same_answer():
    first, second = [
        [c async for c in ScriptedClient(clock=StillClock()).stream(asked("QA"))] for _ in range(2)
    ]

    assert first == second


async def test_a_script_of_ones_own_keeps_its_white_space():
    text = "  two\n\n```\n    code\n```\n"
    client = ScriptedClient(clock=StillClock(), reply=lambda _: text)

    chunks = [c async for c in client.stream([])]

    assert "".join(c.text for c in chunks if isinstance(c, TextDelta)) == text


async def test_a_script_can_be_stopped_in_the_middle():
    client = ScriptedClient(token_delay_s=3600)

    async with aclosing(client.stream(asked("Boss"))) as answer:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(answer), 0.05)
