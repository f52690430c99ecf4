"""What a workflow shows beside messages: stages, progress, notices, components, artifacts, plans, shared state."""

from typing import Any, Literal

from pydantic import JsonValue

from holdfast.events.catalog import (
    ArtifactCreated,
    ComponentRendered,
    NotificationSent,
    PlanCreated,
    PlanItem,
    ProgressUpdated,
    StageChanged,
    StateUpdated,
)
from holdfast.orchestrator.context_core import Core


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

    async def plan(self, plan_id: str, titles: dict[str, str], *, title: str | None = None) -> None:
        """Show what is going to be done: task id → title, in order; the same plan id replaces an earlier plan."""
        items = tuple(PlanItem(task_id=task_id, title=text) for task_id, text in titles.items())
        await self.emit(PlanCreated(plan_id=plan_id, title=title, items=items))

    async def state(self, **changes: Any) -> None:
        """Change keys of the run's shared state; None removes a key."""
        await self.emit(StateUpdated(changes=changes))
