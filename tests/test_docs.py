"""What the pages say is so: their code runs, what they cite is there, and the settings are the ones they list."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from typer.main import get_command

from holdfast.cli.app import app as command_line
from holdfast.gateway.app import create_app
from holdfast.gateway.settings import Settings, load_settings
from holdfast.orchestrator.models.settings import LlmSettings
from holdfast.orchestrator.settings import SAMPLES, OrchestratorSettings
from holdfast.orchestrator.workflow import Workflow

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# How the table says a default that isn't a plain value.
IN_WORDS: dict[str, str] = {
    "HOLDFAST_WORKER_NAME": "host and pid",
    "HOLDFAST_WORKFLOWS": "the samples",
}


def blocks(page: Path, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def code(page: Path) -> Iterator[str]:
    """Yield what stands in the page as code: console blocks and words between backticks."""
    yield from blocks(page, "console")
    yield from re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    )


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_on_a_page_compiles(page: Path):
    for number, block in enumerate(blocks(page, "python"), 1):
        compile(block, f"{page.name}, block {number}", "exec")


@pytest.mark.parametrize(("name", "count"), [("README.md", 2), ("docs/workflows.md", 3)])
def test_the_workflows_on_a_page_load(name: str, count: int):
    """A reader copies them as they stand."""
    found: list[Workflow] = []
    for block in blocks(ROOT / name, "python"):
        names: dict[str, Any] = {"__name__": "copied"}
        exec(compile(block, name, "exec"), names)
        found += [value for value in names.values() if isinstance(value, Workflow)]

    assert len(found) == count
    assert all(workflow.input_schema for workflow in found)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_test_that_is_cited_exists(page: Path):
    for path, name in re.findall(r"(tests/[\w/]+\.py)(?:::(test_\w+))?", page.read_text()):
        assert (ROOT / path).is_file(), f"{page.name} cites {path}"
        if name:
            found = re.search(rf"^(?:async )?def {name}\b", (ROOT / path).read_text(), re.M)
            assert found, f"{page.name} cites {name} in {path}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


def test_every_promise_names_its_tests():
    promises = re.split(
        r"^\d\. ", _between(ROOT / "README.md", "## Promises", "\nNot promised"), flags=re.M
    )[1:]

    assert len(promises) == 6
    assert all("tests/" in promise for promise in promises)


def test_every_invariant_names_its_tests():
    rows = re.findall(r"^\| \d+ \|.*$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)

    assert rows
    assert all("`tests/" in row for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_verb_of_make_that_is_named_exists(page: Path):
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))

    named = {verb for text in code(page) for verb in re.findall(r"\bmake ([a-z-]+)", text)}

    assert named <= verbs


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_command_that_is_named_exists(page: Path):
    commands = set(vars(get_command(command_line))["commands"])

    named = {c for text in code(page) for c in re.findall(r"\bholdfast ([a-z]+)", text)}

    assert named <= commands


def test_the_settings_are_the_ones_in_the_readme():
    """Names and defaults are the models' own; what a row means is for people to keep true."""
    table = _between(ROOT / "README.md", "| variable |", "\n\n")
    rows = {
        name: (default.strip("`"), service)
        for name, default, service in re.findall(
            r"^\| `(HOLDFAST_\w+)` \| ([^|]+) \| (\w+) \|", table, re.M
        )
    }

    assert rows == _settings()


def test_the_samples_are_the_default_workflows():
    assert [name.rpartition(".")[2] for name in SAMPLES] == ["team", "ticker"]


def test_the_calls_are_the_gateways_own():
    page = (ROOT / "docs/protocol.md").read_text()
    said = {
        f"{method} {re.sub('{s}', '{session_id}', re.sub('{r}', '{run_id}', path))}"
        for row in re.findall(r"^\| `((?:GET|POST|DELETE) /.*?)\|", page, re.M)
        for method, path in re.findall(r"(GET|POST|DELETE) (/[\w/{}]+)", row)
        if path.startswith("/v1")
    }

    given = load_settings(database_url="postgresql://localhost/x", redis_url="redis://localhost")
    paths = create_app(given).openapi()["paths"]

    assert said == {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1")
    }


def _settings() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for model, service in (
        (Settings, "gateway"),
        (OrchestratorSettings, "worker"),
        (LlmSettings, "worker"),
    ):
        for variable, default in _variables(model):
            if variable in found:
                assert found[variable][0] == default, f"{variable} has two defaults"
                service_of_all = "both"
            else:
                service_of_all = service
            found[variable] = (default, service_of_all)
    return found


def _variables(model: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        variable = f"{model.model_config.get('env_prefix')}{name.upper()}"
        yield variable, IN_WORDS.get(variable) or _default(field)


def _default(field: FieldInfo) -> str:
    match field.default:
        case _ if field.is_required():
            return "required"
        case None | () | "":
            return "none"
        case bool() as value:
            return str(int(value))
        case float() as value:
            return f"{value:g}"
        case value:
            return str(value)


def _between(page: Path, start: str, end: str) -> str:
    return page.read_text().partition(start)[2].partition(end)[0]
