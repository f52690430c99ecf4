"""`holdfast dev path/to/file.py`: a file that is in no package, beside the samples."""

import os
from pathlib import Path

import pytest

from tests.e2e.stack import running

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

FLOWS = """
from pydantic import BaseModel

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class Greeting(BaseModel):
    name: str = "world"


@workflow("greeter")
async def greeter(ctx: WorkflowContext, input: Greeting) -> str:
    return await ctx.step("greet", lambda: f"Hello, {input.name}!")
"""


def test_a_file_given_by_a_relative_path_runs_beside_the_samples(server_dir: Path) -> None:
    file = server_dir / "my app" / "flows.py"
    file.parent.mkdir()
    file.write_text(FLOWS)

    with running(server_dir / "stack", os.path.relpath(file)) as stack:
        names = {item["name"] for item in stack.get("/v1/workflows")["items"]}
        run = stack.start("greeter", {"name": "Ada"})
        ended = stack.ended(run["run_id"])

    assert names == {"greeter", "team", "ticker"}
    assert ended["status"] == "completed"
