"""The commands that run Holdfast: what they hand to the services, which are stood in for here."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from holdfast.cli.app import app
from holdfast.orchestrator.settings import SAMPLES

NAMES = (
    "HOLDFAST_HOST",
    "HOLDFAST_PORT",
    "HOLDFAST_PROCESSES",
    "HOLDFAST_I_KNOW_THERE_IS_NO_AUTH",
    "HOLDFAST_UNSAFE_DEV",
    "HOLDFAST_WORKFLOWS",
)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Put a service in the place of a module; return what it was started with."""

    def stand_in(name: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def main() -> int:
            seen.update({key: os.environ[key] for key in NAMES if key in os.environ})
            seen["argv"] = sys.argv[1:]
            return 0

        module = ModuleType(name)
        module.main = main  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys, "argv", ["holdfast", "words", "of", "ours"])
        for key in NAMES:
            # Set first, so that what the command sets is taken back after the test.
            monkeypatch.setenv(key, "")
            monkeypatch.delenv(key)
        return seen

    return stand_in


def test_a_gateways_options_become_its_environment(service: Callable[[str], dict[str, Any]]):
    seen = service("holdfast.gateway.__main__")
    words = ["gateway", "--host", "0.0.0.0", "--port", "0", "--i-know-there-is-no-auth"]

    assert CliRunner().invoke(app, words).exit_code == 0

    assert seen == {
        "HOLDFAST_HOST": "0.0.0.0",
        "HOLDFAST_PORT": "0",
        "HOLDFAST_I_KNOW_THERE_IS_NO_AUTH": "1",
        "argv": [],
    }


def test_what_is_not_given_is_left_to_the_environment(service: Callable[[str], dict[str, Any]]):
    seen = service("holdfast.gateway.__main__")

    assert CliRunner().invoke(app, ["gateway"]).exit_code == 0

    assert seen == {"argv": []}


def test_an_orchestrators_workflows_are_joined(service: Callable[[str], dict[str, Any]]):
    seen = service("holdfast.orchestrator.__main__")
    words = ["orchestrator", "--workflows", "a.b", "--workflows", "c"]

    assert CliRunner().invoke(app, words).exit_code == 0

    assert seen == {"HOLDFAST_WORKFLOWS": "a.b,c", "argv": []}


@pytest.mark.parametrize("name", ["gateway", "orchestrator"])
def test_both_services_are_told_how_many_they_are(
    service: Callable[[str], dict[str, Any]], name: str
):
    seen = service(f"holdfast.{name}.__main__")

    assert CliRunner().invoke(app, [name, "--processes", "3"]).exit_code == 0

    assert seen == {"HOLDFAST_PROCESSES": "3", "argv": []}


@pytest.mark.parametrize("name", ["gateway", "orchestrator"])
def test_both_services_take_the_flag_that_the_doctor_names(
    service: Callable[[str], dict[str, Any]], name: str
):
    seen = service(f"holdfast.{name}.__main__")

    assert CliRunner().invoke(app, [name, "--unsafe-dev"]).exit_code == 0

    assert seen == {"HOLDFAST_UNSAFE_DEV": "1", "argv": []}


def test_a_service_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "holdfast.gateway.__main__", None)

    result = CliRunner().invoke(app, ["gateway"])

    assert result.exit_code == 2
    assert "pip install 'holdfast[gateway]'" in result.stderr


def test_dev_hands_its_options_to_the_supervisor_and_ends_with_its_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    given: list[Any] = []

    async def run_dev(options: Any, *, on_line: Callable[[str], None]) -> int:
        given.append(options)
        on_line("ready http://127.0.0.1:1234")
        return 7

    monkeypatch.setattr("holdfast.local.supervisor.run_dev", run_dev)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.py").touch()
    words = ["dev", "my.flows", "more.py", "--port", "9000", "--orchestrators", "2"]
    words += ["--gateways", "3", "--data-dir", str(tmp_path), "--quiet"]

    result = CliRunner().invoke(app, words)

    (options,) = given
    assert (result.exit_code, result.stdout) == (7, "ready http://127.0.0.1:1234\n")
    assert (options.app, options.port, options.orchestrators, options.gateways) == (
        ("my.flows", str(tmp_path / "more.py"), *SAMPLES),
        9000,
        2,
        3,
    )
    assert (options.data_dir, options.quiet) == (tmp_path, True)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("nowhere/flows.py", "there is no file nowhere/flows.py"),
        ("a.flows,b.flows", "'a.flows,b.flows': modules and files are given one by one"),
        ("here/flows.py", "the workers cannot be told a path with a comma"),
    ],
)
def test_workflows_that_cannot_be_loaded_are_told_of_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, sentence: str
):
    place = tmp_path / "a,b" / "here"
    place.mkdir(parents=True)
    (place / "flows.py").touch()
    monkeypatch.chdir(place.parent)

    result = CliRunner().invoke(app, ["dev", word, "--data-dir", str(tmp_path / "data")])

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
