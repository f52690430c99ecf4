"""What a workflow shows beside messages: stages, progress, notices, components, artifacts, plans, shared state."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import JsonValue

from holdfast.events.catalog import (
    ArtifactCreated,
    ComponentRendered,
    NotificationSent,
    PlanCreated,
    PlanFailed,
    PlanItem,
    ProgressUpdated,
    StageChanged,
    StateSnapshot,
    StateUpdated,
)
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import Core
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe


class Show(Core):
    """The showing part of `ctx`; each call appends one event, once."""

    async def stage(self, to: str) -> None:
        """Enter a stage of the work; entering the current one changes nothing."""
        if self._stage[0] != to:
            await self.emit(StageChanged(from_=self._stage[0], to=to))
            self._stage[0] = to

    async def progress(self, fraction: float, label: str | None = None) -> None:
        """Tell how much of the run is done, from 0 to 1."""
        await self.emit(ProgressUpdated(fraction=fraction, label=label))

    def parts(self, weights: Mapping[str, float]) -> "Parts":
        """Tell of progress part by part, name → weight: what is done of the whole is computed. Lanes may share it."""
        return Parts(self._scribe, self._at, self._key("parts"), weights)

    async def notify(
        self,
        text: str,
        *,
        level: Literal["info", "success", "warning", "error"] = "info",
        title: str | None = None,
    ) -> None:
        """Show the user a short notice."""
        await self.emit(NotificationSent(text=text, level=level, title=title))

    async def component(
        self, component_id: str, component_type: str, content: JsonValue = None
    ) -> None:
        """Show a piece of interface; the same id replaces what it showed before."""
        await self.emit(
            ComponentRendered(
                component_id=component_id, component_type=component_type, content=content
            )
        )

    async def artifact(
        self,
        artifact_id: str,
        name: str,
        *,
        content: str | None = None,
        uri: str | None = None,
        media_type: str = "text/plain",
    ) -> None:
        """Hand over something to keep: small content inline, large content by reference."""
        size = None if content is None else len(content.encode())
        await self.emit(
            ArtifactCreated(
                artifact_id=artifact_id,
                name=name,
                media_type=media_type,
                content=content,
                uri=uri,
                size=size,
            )
        )

    async def plan(
        self,
        tasks: Sequence[str] | Mapping[str, str],
        *,
        plan_id: str = "plan",
        title: str | None = None,
    ) -> list[str]:
        """Show what is going to be done, in order, and return the tasks' ids for `ctx.task`.

        `tasks` are titles, numbered from 1, or task id → title. The same plan id replaces an earlier plan.
        """
        titles = (
            tasks if isinstance(tasks, Mapping) else {str(n): t for n, t in enumerate(tasks, 1)}
        )
        items = tuple(PlanItem(task_id=task_id, title=text) for task_id, text in titles.items())
        await self.emit(PlanCreated(plan_id=plan_id, title=title, items=items))
        return list(titles)

    async def plan_failed(self, error: Exception, *, plan_id: str = "plan") -> None:
        """Tell that there is no plan, or that it can't be carried out."""
        await self.emit(PlanFailed(plan_id=plan_id, error=error_info(error)))

    async def state(self, whole: Mapping[str, Any] | None = None, /, **changes: Any) -> None:
        """Change keys of the run's shared state (None removes one), or say what the `whole` of it is."""
        if whole is not None:
            await self.emit(StateSnapshot(state=dict(whole)))
        if changes or whole is None:
            await self.emit(StateUpdated(changes=changes))


class Parts:
    """How far each part of a run is; every call tells how far the whole is. Made by `ctx.parts`."""

    def __init__(self, scribe: Scribe, at: Context, key: str, weights: Mapping[str, float]) -> None:
        whole = sum(weights.values())
        if whole <= 0 or min(weights.values()) < 0:
            raise HoldfastError(
                "ctx.parts: weights are not negative, and one of them is above zero"
            )
        self._scribe, self._at, self._key = scribe, at, key
        self._weights = {name: weight / whole for name, weight in weights.items()}
        self._done = {name: self._reached(name) for name in weights}
        self._calls = dict.fromkeys(weights, 0)

    @property
    def fraction(self) -> float:
        """How much of the whole is done, from 0 to 1."""
        whole = sum(weight * self._done[name] for name, weight in self._weights.items())
        return min(1.0, round(whole, 6))

    async def update(self, name: str, fraction: float, label: str | None = None) -> float:
        """Tell how far a part is, from 0 to 1; it never goes back. Return how far the whole is."""
        if name not in self._weights:
            raise HoldfastError(
                f"ctx.parts: no part {name!r}; there are {', '.join(self._weights)}"
            )
        self._calls[name] += 1
        key = self._place(name, self._calls[name])
        self._done[name] = max(self._done[name], min(1.0, max(0.0, fraction)))
        whole = self.fraction
        event = ProgressUpdated(fraction=whole, label=name if label is None else label)
        if not self._scribe.recorded(key):
            effect = self._scribe.remember(key, self._done[name])
            await self._scribe.emit(event, self._at, key=key, effects=[effect])
        return whole

    async def done(self, name: str, label: str | None = None) -> float:
        """Tell that a part is done."""
        return await self.update(name, 1.0, label)

    def _reached(self, name: str) -> float:
        """Return how far an earlier attempt came: parts that are replayed at once must not make the whole go back."""
        reached, call = 0.0, 1
        while not isinstance(kept := self._scribe.result(self._place(name, call)), Missing):
            reached, call = float(cast("float", kept)), call + 1
        return reached

    def _place(self, name: str, call: int) -> str:
        return f"{self._key}/{name}#{call}"
