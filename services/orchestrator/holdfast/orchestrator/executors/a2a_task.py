"""One turn at a remote agent: what its task says becomes events, each once, also when it is told again.

A remote task lives on when our worker dies. Every message has an id of the agent's, and that is the key under which it
is recorded; so whoever takes over reads the task's history, records what is missing, and listens on.
"""

import hashlib
from dataclasses import dataclass, field, replace

from a2a.types import (
    Artifact,
    Message,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatus,
)
from pydantic import JsonValue

from holdfast.events.catalog import (
    ArtifactCreated,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    StepRestarted,
    TaskStarted,
)
from holdfast.events.recorded import Context
from holdfast.orchestrator.executors.a2a_route import Router, placed
from holdfast.orchestrator.executors.a2a_updates import (
    Fields,
    State,
    by_agent,
    content_of,
    is_message,
    plain,
    state_of,
    text_of,
    update_of,
)
from holdfast.orchestrator.executors.abilities import Kept
from holdfast.orchestrator.scribe import Missing, Scribe


@dataclass(slots=True)
class _Piece:
    """An artifact that comes in pieces: shown as a message meanwhile."""

    at: Context
    message_id: str
    artifact: Artifact
    content: str = ""


@dataclass(slots=True)
class RemoteTask:
    """The remote task of one turn."""

    scribe: Scribe
    turn: str
    at: Context
    router: Router
    state: State = State.WORKING
    task_id: str = ""
    context_id: str = ""
    prompt: str = ""  # the words of the last status, which say what is asked for or what went wrong
    schema: JsonValue = None
    answer: str = ""
    heard: int = 0  # answers, on all connections
    over: bool = False  # the agent answered with a message instead of a task
    _pieces: dict[str, _Piece] = field(default_factory=dict[str, _Piece])
    _unsure: dict[str, Artifact] = field(default_factory=dict[str, Artifact])

    def known(self) -> str | None:
        """Return the id of the task that an earlier attempt at this turn was given."""
        if (kept := last_task(self.scribe.result, self.turn)) is None:
            return None
        self._named(*kept)
        return self.task_id

    def forget(self) -> None:
        """The remote agent has lost the task: it is begun anew."""
        self.task_id = ""

    async def take(self, answer: StreamResponse) -> None:
        """Record what an answer tells."""
        self.heard += 1
        if answer.HasField("task"):
            await self.catch_up(answer.task)
        elif answer.HasField("status_update"):
            update = answer.status_update
            await self._learn(update.task_id, update.context_id)
            await self._status(update.status, plain(update.metadata))
        elif answer.HasField("artifact_update"):
            await self._learn(answer.artifact_update.task_id, answer.artifact_update.context_id)
            await self._artifact(answer.artifact_update)
        elif answer.HasField("message"):
            # No task at all: the message is the whole answer.
            await self._say(answer.message, {})
            self.state, self.over = State.COMPLETED, True

    async def catch_up(self, task: Task) -> None:
        """Record what the task's history has and the log has not."""
        await self._learn(task.id, task.context_id)
        for message in task.history:
            if by_agent(message):
                await self._say(message, {})
        for artifact in task.artifacts:
            await self._caught_up(artifact, working=state_of(task.status) is State.WORKING)
        await self._status(task.status, {})

    async def close(self) -> None:
        """End what came in pieces and had no last one."""
        for artifact_id in list(self._pieces):
            await self._end_piece(artifact_id)
        for artifact in self._unsure.values():
            await self._keep(artifact)
        self._unsure.clear()

    async def _learn(self, task_id: str, context_id: str) -> None:
        if self.task_id or not task_id:
            return
        self._named(task_id, context_id)
        # A result is recorded once: a task that was begun anew has a key of its own.
        n = len(_tasks(self.scribe.result, self.turn)) + 1
        kept = self.scribe.remember(f"{self.turn}/task@{n}", [task_id, context_id])
        own = f"{self.scribe.run.run_id}.task"
        if not await self.scribe.emit(
            TaskStarted(task_id=own), self.at, key="task/started", effects=[kept]
        ):
            await self.scribe.emit_with([], [kept])
        # A takeover finds the task by this; until then it would begin another one.
        await self.scribe.durable()

    def _named(self, task_id: str, context_id: str) -> None:
        self.task_id, self.context_id = task_id, context_id
        self.at = replace(self.at, metadata={**self.at.metadata, "a2a_task": task_id})

    async def _status(self, status: TaskStatus, metadata: Fields) -> None:
        self.state = state_of(status)
        if not status.HasField("message"):
            return
        update = update_of(status.message, metadata)
        if self.state in (State.INPUT_REQUIRED, State.FAILED, State.CANCELLED):
            # Asked for, or told as the error: not said as well, not even when history repeats it.
            self.prompt, self.schema = update.text, update.get("schema")
            await self.scribe.keep(_not_said(update.message_id), True)
        else:
            await self._say(status.message, metadata)

    async def _say(self, message: Message, metadata: Fields) -> None:
        update = update_of(message, metadata)
        if not isinstance(self.scribe.result(_not_said(update.message_id)), Missing):
            return
        if is_message(update) and update.text:
            self.answer = update.text
        own = f"{self.scribe.run.run_id}.{update.message_id}"
        at = placed(self.at, update)
        for n, event in enumerate(self.router.events(update, own), 1):
            await self._once(event, at, f"a2a:{update.message_id}#{n}")

    async def _once(self, event: Event, at: Context, key: str) -> None:
        # Looked up first: told again from history, where an update's own metadata is lost, it may look like another
        # type, and the log is right.
        if not self.scribe.recorded(key):
            await self.scribe.emit(event, at, key=key)

    async def _artifact(self, update: TaskArtifactUpdateEvent) -> None:
        artifact, text = update.artifact, text_of(update.artifact.parts)
        piece = self._pieces.get(artifact.artifact_id)
        if not (update.append or piece) and (update.last_chunk or not text):
            await self._keep(artifact)
            return
        if piece is None or not update.append:
            piece = await self._begin_piece(artifact)
            if update.append and (before := self._unsure.pop(artifact.artifact_id, None)):
                await self._add(piece, text_of(before.parts))
        await self._add(piece, text)
        if update.last_chunk:
            await self._end_piece(artifact.artifact_id)

    async def _caught_up(self, artifact: Artifact, *, working: bool) -> None:
        """Record an artifact as a task has it; of a `working` one more may come."""
        key, text = self._artifact_key(artifact.artifact_id), text_of(artifact.parts)
        if self.scribe.recorded(f"{key}/started") and not self.scribe.recorded(f"{key}/completed"):
            piece = self._pieces.get(artifact.artifact_id)
            if piece is None or not text.startswith(piece.content):
                piece = await self._begin_piece(artifact)
            await self._add(piece, text.removeprefix(piece.content))
            if not working:
                await self._end_piece(artifact.artifact_id)
        elif working and text and not self.scribe.recorded(self._kept_key(artifact)):
            # A whole one, or the first pieces of one: the next update, or the end, will tell.
            self._unsure[artifact.artifact_id] = artifact
        else:
            await self._keep(artifact)

    async def _begin_piece(self, artifact: Artifact) -> _Piece:
        key = self._artifact_key(artifact.artifact_id)
        at = replace(self.at, step=key)
        message_id = f"{self.scribe.run.run_id}.{artifact.artifact_id}"
        started = MessageStarted(message_id=message_id)
        piece = self._pieces[artifact.artifact_id] = _Piece(at, message_id, artifact)
        if not await self.scribe.emit(started, at, key=f"{key}/started"):
            await self.scribe.emit(StepRestarted(name="message"), at)
            await self.scribe.emit(started, at)
        return piece

    async def _add(self, piece: _Piece, text: str) -> None:
        if text:
            piece.content += text
            await self.scribe.delta(MessageDelta(message_id=piece.message_id, text=text), piece.at)

    async def _end_piece(self, artifact_id: str) -> None:
        piece = self._pieces.pop(artifact_id)
        done = MessageCompleted(message_id=piece.message_id, content=piece.content, duration_ms=0)
        key = f"{self._artifact_key(artifact_id)}/completed"
        again = self.scribe.recorded(key)
        await self.scribe.emit(done, piece.at, key=None if again else key)
        whole = Artifact()
        whole.CopyFrom(piece.artifact)
        del whole.parts[:]
        whole.parts.add(text=piece.content)
        await self._keep(whole)

    async def _keep(self, artifact: Artifact) -> None:
        content, uri, media_type = content_of(artifact)
        event = ArtifactCreated(
            artifact_id=artifact.artifact_id,
            name=artifact.name or artifact.artifact_id,
            media_type=media_type,
            content=content,
            uri=uri,
            size=None if content is None else len(content.encode()),
        )
        self.answer = content or self.answer
        await self._once(event, self.at, self._kept_key(artifact))

    def _artifact_key(self, artifact_id: str) -> str:
        return f"{self.turn}/artifact:{artifact_id}"

    def _kept_key(self, artifact: Artifact) -> str:
        # The same id with other content takes the place of what was there.
        content, uri, _ = content_of(artifact)
        digest = hashlib.sha256(f"{content}\0{uri}".encode()).hexdigest()[:16]
        return f"{self._artifact_key(artifact.artifact_id)}@{digest}"


def _not_said(message_id: str) -> str:
    return f"a2a:{message_id}/not-said"


def last_task(kept: Kept, turn: str) -> tuple[str, str] | None:
    """Return the ids of task and context of a turn, if the agent has told them."""
    found = _tasks(kept, turn)
    return found[-1] if found else None


def _tasks(kept: Kept, turn: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while isinstance(one := kept(f"{turn}/task@{len(found) + 1}"), list):
        found.append((str(one[0]), str(one[1])))
    return found
