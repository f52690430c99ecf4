"""The commands of examples/README.md, typed as they stand: each starts its application, asks, and sees the end."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.stack import Stack, eventually, running
from tests.models.behaviours import normal
from tests.models.openai_server import MODEL, OpenAIServer
from tests.servers import make_server_dir

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
README = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

# (the file, what asks for a run)
COMMANDS = re.findall(
    r"^\| `make (?:setup-dev )?run ARGS=(examples/\w+\.py)` \| `holdfast (run .+?)` \|",
    README,
    re.MULTILINE,
)

# What is started by an example, rather than by a person.
SIBLINGS = {"examples/a2a_server.py"}

APPROVED = json.loads(re.findall(r"wants\n?\s*`'(.+?)'`", README)[0])

# What the offline model says, who is asked what it thinks of anything.
OFFLINE = "[offline demo model"


def _environment(**more: str) -> dict[str, str]:
    named = {name: "" for name in os.environ if name.startswith(("HOLDFAST_LLM_", "REMOTE_AGENT"))}
    return {**named, "HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S": "0.0005", **more}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All examples in one, which is quicker than one after the other; no provider anywhere."""
    root = make_server_dir()
    files = [str(ROOT / file) for file, _ in COMMANDS]
    with running(root / "stack", *files, **_environment()) as stack:
        yield stack
    shutil.rmtree(root, ignore_errors=True)


def _holdfast(stack: Stack, *words: str) -> dict[str, Any]:
    """How to start `holdfast` with these words."""
    return {
        "args": [sys.executable, "-m", "holdfast.cli", *words],
        "env": {**os.environ, "HOLDFAST_URL": stack.url},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "text": True,
    }


def _ask(stack: Stack, command: str) -> list[dict[str, Any]]:
    """Type the command and `--follow`; answer what is asked; return the run's events."""
    words = [*shlex.split(command), "--follow", "--json"]
    events: list[dict[str, Any]] = []
    with subprocess.Popen(**_holdfast(stack, *words)) as asking:
        assert asking.stdout is not None
        for line in asking.stdout:
            event = json.loads(line)
            events.append(event)
            if event.get("type") == "input.requested":
                given = event["run_id"], event["data"]["input_id"], json.dumps(APPROVED)
                subprocess.run(**_holdfast(stack, "answer", *given), check=True, timeout=30)
    assert asking.returncode == 0
    return events


def _result(events: list[dict[str, Any]]) -> Any:
    assert events[-1]["type"] == "run.completed"
    return events[-1]["data"]["result"]


def test_every_example_has_its_command() -> None:
    files = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")}

    assert {file for file, _ in COMMANDS} == files - SIBLINGS


@pytest.mark.parametrize(("file", "command"), COMMANDS, ids=[Path(f).stem for f, _ in COMMANDS])
def test_an_example_does_what_it_shows(stack: Stack, file: str, command: str) -> None:
    result = _result(_ask(stack, command))

    match Path(file).stem:
        case "plain_agent" | "langgraph_agent":
            assert result.startswith(OFFLINE)
        case "human_approval":
            assert result.startswith("published ")
        case "parallel_research":
            assert set(result) == {"history", "costs", "risks"}
        case "webhook":
            assert result == {"parcel": "100 g of Assam"}
            eventually("the receiver is told", lambda: f"run.completed {result}" in _printed(stack))
        case "agui_agent":
            assert result == "I looked it up: it is sunny in Bern."
        case "a2a_agent":
            assert result == "All about cats."
        case other:
            raise AssertionError(f"what does {other} show?")


def _printed(stack: Stack) -> str:
    """What the subscriber has printed; the example's own receiver is inside of it."""
    return "".join(
        path.read_text(errors="replace") for path in stack.data_dir.rglob("subscriber*.log*")
    )


async def test_a_provider_answers_in_the_stream(server_dir: Path, provider: OpenAIServer) -> None:
    """An OpenAI-compatible server on loopback: its tokens come out of the run's stream as they are."""
    tokens = ["The ", "provider ", "says ", "so."]
    provider.script(normal(*tokens))
    asks = [c for f, c in COMMANDS if Path(f).stem not in ("webhook", "a2a_agent")]
    files = [str(ROOT / f) for f, c in COMMANDS if c in asks]
    url = {"HOLDFAST_LLM_BASE_URL": provider.base_url, "HOLDFAST_LLM_MODEL": MODEL}
    settings = _environment(**url, HOLDFAST_COALESCE_MS="0")
    # The provider's loop is this one: all that waits does so in threads.
    stack = Stack(server_dir / "stack", *files, **settings)
    try:
        await asyncio.to_thread(stack.ready)
        for command in asks:
            events = await asyncio.to_thread(_ask, stack, command)
            said = [e["data"]["text"] for e in events if e["type"] == "message.delta"]
            assert said[: len(tokens)] == tokens or "parallel" in command or "research" in command
            assert "".join(tokens) in json.dumps(_result(events)) or "approval" in command
        run = await asyncio.to_thread(stack.start, "plain", "cats")
        assert "".join(await asyncio.to_thread(_streamed, stack, run["run_id"])) == "".join(tokens)
    finally:
        await asyncio.to_thread(stack.stop)


def _streamed(stack: Stack, run_id: str) -> list[str]:
    """Return the pieces of text in a run's SSE stream."""
    url = f"{stack.url}/v1/runs/{run_id}/stream?after=0"
    with httpx2.stream("GET", url, timeout=20) as answer:
        found = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    return [e["data"]["text"] for e in found if e.get("type") == "message.delta"]
