"""Runs remote agents that speak A2A: their task's updates become typed events, and their end the run's.

    researcher = a2a_workflow("researcher", "https://agents.example.com/researcher", token_env="RESEARCHER_TOKEN")

The remote task goes on while our workers come and go: its id is recorded, and whoever takes over follows the same
task. A task that the agent has lost is begun anew, announced by `step.restarted`.
"""

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, cast

from a2a.types import Message, Part, Role
from a2a.utils.errors import TaskNotFoundError
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from pydantic import JsonValue, TypeAdapter

from holdfast.events.catalog import (
    InputRequested,
    StepCompleted,
    StepFailed,
    StepRestarted,
    StepStarted,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
)
from holdfast.events.errors import HoldfastError, StoreUnavailable
from holdfast.events.recorded import Context, Emission
from holdfast.orchestrator.advice import raised_in
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.a2a_remote import Connection, Remote, RemoteAgentUnreachable
from holdfast.orchestrator.executors.a2a_route import Factory, Router
from holdfast.orchestrator.executors.a2a_task import RemoteTask, last_task
from holdfast.orchestrator.executors.a2a_updates import State
from holdfast.orchestrator.executors.abilities import Abilities, Kept
from holdfast.orchestrator.inputs import answer_key, waiting_for
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe
from holdfast.orchestrator.session_log import Fenced
from holdfast.orchestrator.workflow import Workflow, source_version

# 0.5, 1, 2, 4, 8 s: a remote agent that restarts within a quarter of a minute is not noticed.
RECONNECTS_MAX = 5
RECONNECT_FIRST_S = 0.5

# An agent that can't stream is looked at every second: its task is one of minutes.
POLL_S = 1.0

# What a message weighs in the log when it is the reason for a run's end.
ERROR_CHARS_MAX = 500

_NOT_OURS = (Fenced, StoreUnavailable)


class RemoteTaskFailed(HoldfastError):
    """The remote agent says that its task failed."""

    code = "remote-task-failed"


class RemoteTaskCancelled(HoldfastError):
    """The remote task was cancelled, and not by us."""

    code = "remote-task-cancelled"


@dataclass(frozen=True, slots=True)
class A2AExecutor:
    """Has a run done by a remote agent."""

    abilities: ClassVar[Abilities] = Abilities(resumes="task", cancel="forwarded")

    remote: Remote
    to_message: Callable[[Any], str | dict[str, Any]]
    router: Router

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Send the input, follow the task, pass its questions on; return its last words."""
        said: Any = self.to_message(scribe.run.input)
        context_id, task_id = "", ""
        for n in count(1):
            turn = f"turn#{n}"
            kept = scribe.result(turn)
            if isinstance(kept, Missing):
                message = _message(f"{scribe.run.run_id}.{turn}", said, context_id, task_id)
                kept = await self._take_turn(scribe, turn, message)
            done = cast("dict[str, Any]", kept)
            context_id, task_id = done["context_id"], done["task_id"]
            if done["state"] == State.COMPLETED.value:
                return done["answer"]
            said = await _answer(scribe, turn, done)
        raise AssertionError("unreachable")

    async def cancelled(self, run_id: str, kept: Kept) -> None:
        """Cancel the remote task, if there is one."""
        task_id = ""
        for n in count(1):
            if (found := last_task(kept, f"turn#{n}")) is None:
                break
            task_id = found[0]
        if task_id:
            async with self.remote.connect() as connection:
                await connection.cancel(task_id)

    async def _take_turn(self, scribe: Scribe, turn: str, message: Message) -> JsonValue:
        at, began = scribe.where(step=turn, task_id=f"{scribe.run.run_id}.task"), time.monotonic()
        task = RemoteTask(scribe, turn, at, self.router)
        anew = not await scribe.emit(StepStarted(name="turn"), at, key=f"{turn}/started")
        if anew and task.known() is None:
            # Whether the message arrived is not known; it has the same id as before.
            await _restart(scribe, at)
        await scribe.durable()
        try:
            await self._follow(task, message)
            await task.close()
            await self._settle(scribe, task, began)
        except Exception as error:
            if not isinstance(error, _NOT_OURS):
                raised_in(error, "turn")
                took, info = ms_since(began), error_info(error)
                await scribe.emit(StepFailed(name="turn", error=info, duration_ms=took), at)
            raise
        result: dict[str, JsonValue] = {
            "state": task.state.value,
            "task_id": task.task_id,
            "context_id": task.context_id,
            "answer": task.answer,
            "prompt": task.prompt,
            "schema": task.schema,
        }
        done = StepCompleted(name="turn", duration_ms=ms_since(began))
        kept = scribe.remember(turn, result)
        await scribe.emit(done, task.at, key=f"{turn}/completed", effects=[kept])
        return result

    async def _settle(self, scribe: Scribe, task: RemoteTask, began: float) -> None:
        """Record how the task ended. Raises what fails the run with it."""
        own, took = f"{scribe.run.run_id}.task", ms_since(began)
        match task.state:
            case State.COMPLETED if not task.over:
                done = TaskCompleted(task_id=own, duration_ms=took)
                await scribe.emit(done, task.at, key="task/completed")
            case State.FAILED:
                why = task.prompt[:ERROR_CHARS_MAX] or "the remote agent gave no reason"
                error = RemoteTaskFailed(why)
                failed = TaskFailed(task_id=own, error=error_info(error), duration_ms=took)
                await scribe.emit(failed, task.at, key="task/failed")
                raise error
            case State.CANCELLED:
                why = task.prompt[:ERROR_CHARS_MAX] or "the remote agent cancelled its task"
                gone = TaskCancelled(task_id=own, duration_ms=took, reason=why)
                await scribe.emit(gone, task.at, key="task/cancelled")
                raise RemoteTaskCancelled(why)
            case _:
                pass

    async def _follow(self, task: RemoteTask, message: Message) -> None:
        """Follow the task until it is over or asks something, over as many connections as it takes."""
        failures = 0
        while task.state is State.WORKING:
            heard = task.heard
            try:
                async with self.remote.connect() as connection:
                    await self._listen(connection, task, message)
                failures = 0
                if task.state is State.WORKING:
                    # It can't stream, or it hung up in the middle: look again, but not in a tight circle.
                    await asyncio.sleep(POLL_S)
            except TaskNotFoundError:
                await _restart(task.scribe, task.at)
                task.forget()
            except RemoteAgentUnreachable:
                failures = 1 if task.heard > heard else failures + 1
                if failures > RECONNECTS_MAX:
                    raise
                await asyncio.sleep(RECONNECT_FIRST_S * 2 ** (failures - 1))

    async def _listen(self, connection: Connection, task: RemoteTask, message: Message) -> None:
        if not task.task_id:
            answers = connection.send(message)
        else:
            await task.catch_up(await connection.task(task.task_id))
            if task.state is not State.WORKING:
                return
            if not connection.streams:
                return
            answers = connection.follow(task.task_id)
        async with aclosing(answers) as stream:
            async for answer in stream:
                await task.take(answer)


async def _restart(scribe: Scribe, at: Context) -> None:
    await scribe.emit(StepRestarted(name="turn"), at)
    await scribe.emit(StepStarted(name="turn"), at)


async def _answer(scribe: Scribe, turn: str, done: dict[str, Any]) -> Any:
    """Return what a person answers to the agent's question. May raise Waiting."""
    input_id = f"{scribe.run.run_id}.{turn}.input"
    value = scribe.result(answer_key(input_id))
    if not isinstance(value, Missing):
        return value
    prompt = done["prompt"] or "The remote agent asks for more."
    schema = done["schema"] if isinstance(done["schema"], dict) else None
    asked: list[Emission] = []
    if not scribe.recorded(f"{turn}/input"):
        event = InputRequested(input_id=input_id, prompt=prompt, value_schema=schema)
        asked.append(Emission(event, scribe.where(step=turn), f"{turn}/input"))
    asked_ms = int(scribe.now().timestamp() * 1000)
    waiting = waiting_for(prompt, value_schema=schema, deadline=None, asked_ms=asked_ms)
    return await scribe.wait(asked, {input_id: waiting}, due_in_s=math.inf)


def _message(message_id: str, said: Any, context_id: str, task_id: str) -> Message:
    part = Part(text=said) if isinstance(said, str) else Part(data=ParseDict(said, Value()))
    return Message(
        message_id=message_id,
        role=Role.ROLE_USER,
        parts=[part],
        context_id=context_id,
        task_id=task_id,
    )


def a2a_workflow(
    name: str,
    url: str,
    *,
    input: Any = None,
    to_message: Callable[[Any], str | dict[str, Any]] | None = None,
    headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
    token_env: str | None = None,
    any_host: bool = False,
    kinds: Mapping[str, Factory] | None = None,
    version: str | None = None,
    description: str | None = None,
) -> Workflow:
    """Make a remote agent a workflow.

    `url` is where its card is. `input` is a type that pydantic can validate; `to_message` makes of it a text, or data,
    to send (by default a text stays a text, and everything else is data). `headers` go with every request, or are made
    for every connection; `token_env` names the environment variable with the bearer token. Both go to the host of
    `url` alone, unless `any_host`. `kinds` adds factories for kinds of updates (see a2a_route).
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Any if input is None else input)

    def message_of(given: Any) -> str | dict[str, Any]:
        value = adapter.validate_python(given)
        if to_message is not None:
            return to_message(value)
        plain = adapter.dump_python(value, mode="json")
        return plain if isinstance(plain, (str, dict)) else json.dumps(plain)

    return Workflow(
        name=name,
        version=version or source_version(to_message or message_of, *(kinds or {}).values()),
        executor=A2AExecutor(Remote(url, headers, token_env, any_host), message_of, Router(kinds)),
        input_schema=None if input is None else adapter.json_schema(),
        description=description,
    )


__all__ = ["A2AExecutor", "RemoteTaskCancelled", "RemoteTaskFailed", "a2a_workflow"]
