"""Workflows come from strangers' modules: whatever those do, the worker starts and says what is broken."""

import queue
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from holdfast.events.errors import StoreUnavailable
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.workflow import Resources, Workflow, Workflows, source_version

GREETER = """
from pydantic import BaseModel
from holdfast.orchestrator.workflow import workflow


class Friend(BaseModel):
    name: "Name"


class Name(BaseModel):
    text: str


@workflow("greeter")
async def greeter(ctx, input: Friend) -> str:
    return input.name.text
"""


class Needs:
    """An executor whose needs are not met."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def open(self, resources: Resources) -> None:
        raise self._error

    async def execute(self, scribe: Scribe) -> JsonValue:
        raise AssertionError("never opened")


def loaded_with(error: Exception) -> Workflows:
    workflows = Workflows()
    workflows.add(Workflow("needy", "1", Needs(error)))
    return workflows


def test_a_file_does_not_take_the_place_of_a_module_of_the_same_name(tmp_path: Path) -> None:
    file = tmp_path / "queue.py"
    file.write_text(GREETER)
    workflows = Workflows()
    workflows.load([str(file)])
    assert workflows.broken == {}
    assert sys.modules["queue"] is queue
    schema = workflows.loaded["greeter"].input_schema
    assert schema is not None
    assert set(schema["$defs"]) == {"Name"}


@pytest.mark.parametrize("lines", ["it's half a text", '"""'])
def test_a_function_has_a_version_whatever_its_file_says_by_now(tmp_path: Path, lines: str) -> None:
    """Somebody writes the file while a worker loads it; what runs is what was read."""
    path = tmp_path / "changing.py"
    path.write_text(lines)
    names: dict[str, Any] = {}

    exec(compile("def told(): ...", str(path), "exec"), names)

    assert re.fullmatch("[0-9a-f]{12}", source_version(names["told"]))


def test_a_module_that_exits_is_broken_and_the_rest_serve(tmp_path: Path) -> None:
    script, fine = tmp_path / "script.py", tmp_path / "fine.py"
    script.write_text("import sys\nsys.exit(3)\n")
    fine.write_text(GREETER)
    workflows = Workflows()
    workflows.load([str(script), str(fine)])
    assert set(workflows.loaded) == {"greeter"}
    assert workflows.broken["script"].load_error == "SystemExit: 3"


async def test_an_executor_that_can_not_be_opened_is_broken() -> None:
    workflows = loaded_with(ValueError("no key"))
    async with AsyncExitStack() as stack:
        await workflows.open(Resources("postgresql://unused", stack))
    assert workflows.broken["needy"].load_error == "ValueError: no key"


async def test_a_database_that_is_away_breaks_no_workflow() -> None:
    """It passes, and a workflow that is called broken stays so: whoever starts the worker tries again."""
    workflows = loaded_with(StoreUnavailable("away"))
    async with AsyncExitStack() as stack:
        with pytest.raises(StoreUnavailable):
            await workflows.open(Resources("postgresql://unused", stack))
    assert workflows.broken == {}
