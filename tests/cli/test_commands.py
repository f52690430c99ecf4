"""Each command against a scripted gateway: what it asks, what it prints, how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from holdfast.cli.app import app
from holdfast.cli.exits import sentence_of
from holdfast.client import ProblemError
from holdfast.events.catalog import MODELS
from tests.cli.gateway import CANCELLED, FAILED, HOSTILE, STORY, FakeGateway
from tests.client.scripted import Reply, Request, Scripted, body, in_thread

HARMLESS = "[2J]0;owned31mevil"


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def server(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with in_thread(gateway) as server:
        monkeypatch.setenv("HOLDFAST_URL", server.url)
        yield server


def holdfast(*words: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=input)


def bodies(after: int) -> list[bytes]:
    return [body(n, t, **d) for n, (t, d) in enumerate(STORY, 1) if n > after]


def test_a_run_that_is_followed_reads_like_a_transcript_and_ends_with_0(server: Scripted):
    result = holdfast("run", "team", "--input", '{"q": 1}', "--follow")

    assert result.exit_code == 0, result.output
    assert result.stdout == (
        f"▶ run r1: team 1\n\n── design ──\nassistant: Hello {HARMLESS}\n"
        f"✔ completed after 12 ms: {HARMLESS}\n"
    )
    assert server.requests[0].path == "/v1/runs"
    assert server.requests[0].json == {"workflow": "team", "input": {"q": 1}}


@pytest.mark.parametrize("ending", [FAILED, CANCELLED])
def test_a_run_that_fails_or_is_cancelled_ends_with_1(
    gateway: FakeGateway, server: Scripted, ending: tuple[str, dict[str, object]]
):
    gateway.story = [*STORY[:-1], ending]

    assert holdfast("run", "team", "--follow").exit_code == 1


def test_a_followed_run_survives_cuts_and_says_so_on_stderr(gateway: FakeGateway, server: Scripted):
    gateway.cuts = [1, 2, 1]

    result = holdfast("run", "team", "--follow", "--json")

    assert result.exit_code == 0
    assert result.stdout_bytes.splitlines() == bodies(after=1)
    assert result.stderr.count("connected again") == 3


def test_json_lines_are_the_wires_own_bytes(server: Scripted):
    result = holdfast("tail", "s", "--json")

    assert result.exit_code == 0
    assert result.stdout_bytes.splitlines() == bodies(after=0)


def test_a_run_that_is_not_followed_prints_its_ids_and_how_to_follow_it(server: Scripted):
    result = holdfast(
        *("run", "team", "--session", "s", "--on-busy", "reject"),
        *("--priority", "-5", "--timeout", "90"),
    )

    assert (result.exit_code, result.stdout) == (0, "run r1 in session s\n")
    assert "holdfast tail s --after 1" in result.stderr
    assert server.requests[0].path == "/v1/sessions/s/runs"
    asked = server.requests[0].json
    assert (asked["on_busy"], asked["priority"], asked["timeout_s"]) == ("reject", -5, 90)


def test_a_ticket_as_json_is_one_line(server: Scripted):
    result = holdfast("--json", "run", "team")

    assert json.loads(result.stdout) == {"run_id": "r1", "session_id": "s", "after": 1}


def test_input_comes_from_a_file_or_from_stdin(server: Scripted, tmp_path: Path):
    file = tmp_path / "input.json"
    file.write_text('{"from": "file"}')

    assert holdfast("run", "team", "--input", f"@{file}").exit_code == 0
    assert holdfast("run", "team", "--input", "-", input='{"from": "stdin"}').exit_code == 0

    assert [r.json["input"]["from"] for r in server.requests] == ["file", "stdin"]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "team", "--input", "{broken"],
        ["run", "team", "--input", "@/nowhere/at/all.json"],
        ["run"],
        ["run", "team", "--on-busy", "explode"],
        ["run", "team", "--priority", "101"],
        ["tail", "s", "--after", "-1"],
        ["tail", "s", "--after", "x"],
        ["tail", "s", "--url", "no url"],
        ["tail", "s", "--url", "http://127.0.0.1:99999"],
        ["workflows", "--url", "http://127.0.0.1:99999"],
        ["workflows", "--url", "http://[::1"],
        ["workflows", "--url", "http://a\tb"],
        ["workflows", "--url", "ftp://somewhere"],
        ["tail", ".."],
        ["replay", "s", "--speed", "-1"],
        ["nonsense"],
        ["erase", "s"],
        ["migrate"],
    ],
)
def test_bad_usage_ends_with_2_and_no_traceback(
    words: list[str], server: Scripted, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)

    result = holdfast(*words)

    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "rror: " in result.stderr
    assert "Traceback" not in result.stderr
    assert server.requests == []


@pytest.mark.parametrize("words", [["workflows"], ["tail", "s"]])
@pytest.mark.parametrize("location", ["/v1/round", "gopher://elsewhere"])
def test_whoever_redirects_for_ever_or_to_nowhere_is_no_gateway(words: list[str], location: str):
    async def redirect(request: Request, reply: Reply) -> None:
        await reply.status(307, headers={"location": location})

    with in_thread(redirect) as server:
        result = holdfast(*words, "--url", server.url)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert f"{server.url} does not answer like a Holdfast gateway" in result.stderr


def test_an_answer_that_cannot_be_unpacked_is_no_gateways(gateway: FakeGateway):
    async def garbled(request: Request, reply: Reply) -> None:
        await reply.status(200, b"not packed at all", {"content-encoding": "gzip"})

    with in_thread(garbled) as server:
        result = holdfast("workflows", "--url", server.url)

    assert result.exit_code == 3
    assert "does not answer like a Holdfast gateway" in result.stderr


def test_a_refusal_ends_with_2_and_says_the_gateways_sentence(
    gateway: FakeGateway, server: Scripted
):
    gateway.answers["/v1/runs"] = (422, "input-invalid", f"no {HOSTILE} input")

    result = holdfast("run", "team", "--follow")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: no {HARMLESS} input\n"


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        ("does not fit", "does not fit (/n must be positive)"),
        ("does not fit: /n must be positive", "does not fit: /n must be positive"),
    ],
)
def test_a_refusal_names_its_fields_once(detail: str, sentence: str):
    errors = [{"pointer": "/n", "detail": "must be positive"}]
    problem = ProblemError(422, code="input-invalid", title="t", detail=detail, errors=errors)

    assert sentence_of(problem) == sentence


def test_without_input_a_run_gets_an_empty_object(server: Scripted):
    holdfast("run", "team")

    assert server.requests[0].json == {"workflow": "team", "input": {}}


@pytest.mark.parametrize("made", [{"session_id": "new"}, (409, "session-exists", "exists")])
def test_a_session_that_was_named_and_never_made_is_made(
    gateway: FakeGateway, server: Scripted, made: object
):
    unknown = (404, "session-unknown", "no session 'new'")
    ticket = {"run_id": "r1", "session_id": "new", "after": 1}
    gateway.answers["/v1/sessions/new/runs"] = [unknown, ticket]
    gateway.answers["/v1/sessions"] = made

    result = holdfast("run", "team", "--session", "new")

    assert (result.exit_code, result.stdout) == (0, "run r1 in session new\n")
    paths = ["/v1/sessions/new/runs", "/v1/sessions", "/v1/sessions/new/runs"]
    assert [request.path for request in server.requests] == paths
    assert server.requests[1].json == {"session_id": "new"}


def test_following_what_is_not_there_ends_with_2(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/sessions/nobody/stream"] = (404, "session-unknown", "no session 'nobody'")

    result = holdfast("tail", "nobody")

    assert (result.exit_code, result.stderr) == (2, "error: no session 'nobody'\n")


@pytest.mark.parametrize(
    "words", [["run", "w"], ["run", "w", "--follow"], ["sessions"], ["cancel", "r1"]]
)
def test_without_a_gateway_a_call_ends_with_3(words: list[str]):
    with in_thread(FakeGateway()) as gone:
        url = gone.url

    result = holdfast("--url", url, *words)

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(f"error: cannot reach the gateway at {url}")


def test_a_gateway_that_cannot_serve_ends_with_3(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/sessions"] = (503, "store-unavailable", "Postgres is away")

    assert holdfast("sessions").exit_code == 3


def test_tail_asks_for_what_comes_after_and_for_the_types(server: Scripted):
    result = holdfast("tail", "s", "--after", "6", "--types", "run.*, stage.changed")

    assert result.exit_code == 0
    assert server.requests[0].query["types"] == "run.*,stage.changed"
    assert server.requests[0].cursor == 6
    assert result.stdout.startswith("✔ completed")


def test_replay_goes_to_the_head_of_its_beginning(server: Scripted):
    result = holdfast("replay", "s", "--after", "1", "--until", "900", "--speed", "0", "--json")

    assert result.exit_code == 0
    assert result.stdout_bytes.splitlines() == bodies(after=1)
    assert server.requests[1].query == {"after": "1", "until": "7", "speed": "0"}


def test_an_answer_is_json_or_else_text(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/runs/r1/input"] = {"run_id": "r1"}

    for value in ("true", '{"a": 1}', "ship it"):
        assert holdfast("answer", "r1", "i1", value).exit_code == 0

    assert [r.json["value"] for r in server.requests] == [True, {"a": 1}, "ship it"]


def test_a_run_is_steered_with_json_or_text(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/runs/r1/input"] = {"run_id": "r1"}

    result = holdfast("steer", "r1", "shorter, please")

    assert (result.exit_code, result.stdout) == (0, "told run r1\n")
    assert server.requests[0].json == {"value": "shorter, please"}


def test_cancelling_says_what_was_asked(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/runs/r1/cancel"] = {"run_id": "r1", "status": "running"}

    result = holdfast("cancel", "r1", "--reason", "enough")

    assert (result.exit_code, result.stdout) == (0, "asked for the end of run r1\n")
    assert server.requests[0].json == {"reason": "enough"}


def test_lists_on_a_pipe_are_cells_between_tabs(gateway: FakeGateway, server: Scripted):
    session = {"session_id": "s\t1", "status": "active", "head": 7, "created_at": "now"}
    gateway.answers["/v1/sessions"] = {"items": [session], "next_cursor": "41"}
    workflow = {"name": "team", "version": "1", "workers": ["a", "b"], "description": "a team"}
    broken = {"name": "bad", "version": "1", "workers": [], "load_error": "no\nmodule"}
    gateway.answers["/v1/workflows"] = {"items": [workflow, broken]}

    listed = holdfast("sessions")
    workflows = holdfast("workflows")

    assert listed.stdout == "s 1\tactive\t7\t\tnow\n"
    assert "--cursor 41" in listed.stderr
    assert workflows.stdout == "team\t1\t2\ta team\nbad\t1\t0\tfailed to load: no module\n"


def test_lists_as_json_are_one_value_a_line(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/sessions/s/messages"] = {"items": [{"role": "user"}, {"role": "tool"}]}

    result = holdfast("messages", "s", "--json")

    assert [json.loads(line)["role"] for line in result.stdout.splitlines()] == ["user", "tool"]


def test_messages_and_state_are_shown_inert(gateway: FakeGateway, server: Scripted):
    message = {"role": "user", "agent": None, "content": HOSTILE}
    gateway.answers["/v1/sessions/s/messages"] = {"items": [message]}
    gateway.answers["/v1/sessions/s/state"] = {"stage": HOSTILE}

    shown = holdfast("messages", "s").stdout + holdfast("state", "s", "--at", "3").stdout

    assert shown.startswith(f"user: {HARMLESS}\n")
    assert not set(shown) & set("\x1b\x07\x9b\u202e\r")
    assert server.requests[1].query == {"at": "3"}


def test_erasing_needs_a_yes(gateway: FakeGateway, server: Scripted):
    gateway.answers["/v1/sessions/s"] = {"session_id": "s"}

    result = holdfast("erase", "s", "--yes")

    assert result.exit_code == 0
    assert [r.method for r in server.requests] == ["DELETE"]


def test_several_gateways_stand_in_for_each_other(server: Scripted):
    with in_thread(FakeGateway()) as gone:
        url = gone.url

    assert holdfast("run", "team", "--url", f"{url}, {server.url}").exit_code == 0


def test_the_schema_names_every_type():
    result = holdfast("schema")

    assert result.exit_code == 0
    assert all(f'"{type_}"' in result.stdout for type_ in MODELS)


@pytest.mark.parametrize(
    "command",
    [command.name or command.callback.__name__ for command in app.registered_commands],  # type: ignore[union-attr]
)
def test_every_commands_help_has_an_example(command: str):
    result = holdfast(command, "--help")

    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"holdfast {command}" in result.stdout
    assert "\x1b" not in result.stdout
