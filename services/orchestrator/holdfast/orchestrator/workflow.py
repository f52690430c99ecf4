"""What a worker can run: a name, a version, what it takes, and the executor that runs it."""

import hashlib
import inspect
import tokenize
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_type_hints, runtime_checkable

import structlog
from pydantic import JsonValue, TypeAdapter

from holdfast.events.errors import HoldfastError, StoreUnavailable
from holdfast.events.modules import WORKFLOWS_GROUP, load_module, load_plugin, plugin_words
from holdfast.events.store import WorkflowInfo
from holdfast.orchestrator.middleware import Chain, Middleware
from holdfast.orchestrator.scribe import Scribe
from holdfast.subscribe.declared import Declared

if TYPE_CHECKING:
    from holdfast.orchestrator.context import WorkflowContext

T = TypeVar("T")

log = structlog.get_logger("holdfast.workflows")


class Executor(Protocol):
    """Runs one kind of agent. Everything it has to say goes through the scribe."""

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Run the workflow for `scribe.run`, from its beginning or from what is recorded; return its result.

        May raise Waiting (through the scribe), any Exception to fail the run, and is cancelled to cancel it or to
        give it to another worker.
        """
        ...


class Resources:
    """What executors share in one process: opened when first asked for, closed in reverse at the end."""

    def __init__(self, database_url: str, stack: AsyncExitStack) -> None:
        self.database_url, self._stack = database_url, stack
        self._shared: dict[str, Any] = {}

    async def shared(self, name: str, make: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Return the resource of this name, made on the first call."""
        if name not in self._shared:
            self._shared[name] = await self._stack.enter_async_context(make())
        return cast("T", self._shared[name])


@runtime_checkable
class Opens(Protocol):
    """An executor that needs something opened before its first run."""

    async def open(self, resources: Resources) -> None:
        """Get ready. Raises what keeps the workflow from being run: it is reported as broken then."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """An executor that keeps state of its own about a session, elsewhere than in the log's database.

    What is in there, LangGraph's checkpoints included, goes with the erasure itself: not every worker loads every
    workflow, and only those that the erasing worker has loaded are asked.
    """

    async def forget(self, session: int) -> None:
        """Delete it: the session is being erased. Harmless when repeated."""
        ...


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that this worker has loaded."""

    name: str
    version: str
    executor: Executor
    input_schema: Mapping[str, Any] | None = None
    description: str | None = None
    timeout_s: float | None = None  # how long a run may take from its first start, waits included
    max_concurrent: int | None = None  # how many runs may be at work at once, over all workers

    def __post_init__(self) -> None:
        _check_limits(self.name, self.timeout_s, self.max_concurrent)

    def limited(
        self, *, timeout_s: float | None = None, max_concurrent: int | None = None
    ) -> "Workflow":
        """Return this workflow with limits (see `workflow`), whatever executor runs it; what isn't given stays.

        Raises WorkflowError.
        """
        return replace(
            self,
            timeout_s=self.timeout_s if timeout_s is None else timeout_s,
            max_concurrent=self.max_concurrent if max_concurrent is None else max_concurrent,
        )

    def info(self) -> WorkflowInfo:
        """Return what the registry says of it."""
        return WorkflowInfo(
            name=self.name,
            version=self.version,
            input_schema=self.input_schema,
            description=self.description,
            max_concurrent=self.max_concurrent,
        )


class WorkflowError(HoldfastError):
    """A workflow was declared in a way that can't be run; the text says what to change."""


@dataclass(slots=True)
class Workflows:
    """The workflows of one process, and those that failed to load, by name."""

    loaded: dict[str, Workflow] = field(default_factory=dict[str, Workflow])
    broken: dict[str, WorkflowInfo] = field(default_factory=dict[str, WorkflowInfo])
    middlewares: list[Middleware] = field(default_factory=list[Middleware])
    declared: Declared = field(default_factory=Declared)  # listeners of this worker's bus

    def add(self, workflow: Workflow) -> None:
        """Take a workflow in. Raises WorkflowError when another one has its name."""
        known = self.loaded.get(workflow.name)
        if known is not None and known is not workflow:
            raise WorkflowError(f"two workflows are called {workflow.name!r}")
        self.loaded[workflow.name] = workflow

    @property
    def chain(self) -> Chain:
        """The middlewares, in order."""
        return Chain(self.middlewares)

    def load_plugins(self) -> None:
        """Take in what installed packages declare under `holdfast.workflows`."""
        for word in plugin_words(WORKFLOWS_GROUP):
            try:
                self._take(load_plugin(word))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
                self._report(word, error)

    def load(self, modules: Sequence[str]) -> None:
        """Import modules and take in every workflow they declare; one that breaks is reported, the rest serve."""
        for module in modules:
            try:
                self._load(module)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
                # Somebody else's module may raise anything while it is imported: a script ends with sys.exit().
                self._report(_module_name(module), error)

    async def open(self, resources: Resources) -> None:
        """Open what the executors need; a workflow whose executor can't be opened is broken.

        Raises StoreUnavailable: that passes, while a broken workflow stays so until the next start.
        """
        for name, workflow in list(self.loaded.items()):
            if isinstance(workflow.executor, Opens):
                try:
                    await workflow.executor.open(resources)
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001 - the rest must serve
                    del self.loaded[name]
                    self._report(name, error)

    def infos(self) -> list[WorkflowInfo]:
        """Return what to announce."""
        healthy = [workflow.info() for workflow in self.loaded.values()]
        return healthy + [info for name, info in self.broken.items() if name not in self.loaded]

    def _report(self, name: str, error: Exception | SystemExit) -> None:
        reason = "".join(traceback.format_exception_only(error)).strip()
        log.error("workflow.broken", workflow=name, error=reason, exc_info=error)
        self.broken[name] = WorkflowInfo(
            name=name, version="broken", input_schema=None, load_error=reason[:1000]
        )

    def _load(self, module: str) -> None:
        if not self._take(load_module(module)):
            raise WorkflowError(f"{module} declares no workflow")

    def _take(self, found: object) -> int:
        """Take in what a module declares, or one thing; return how much of it is for workers to know."""
        things = list(vars(found).values()) if isinstance(found, ModuleType) else [found]
        for thing in things:
            if isinstance(thing, Workflow):
                self.add(thing)
            elif isinstance(thing, Middleware) and thing not in self.middlewares:
                self.middlewares.append(thing)
        mine = sum(isinstance(thing, Workflow | Middleware) for thing in things)
        return mine + self.declared.take(found)


def _module_name(module: str) -> str:
    """Return the short name under which a module that declares workflows is spoken of."""
    return Path(module).stem if module.endswith(".py") else module.rpartition(".")[2]


WorkflowFunction = Callable[["WorkflowContext", Any], Awaitable[Any]]


def workflow(
    name: str,
    *,
    version: str | None = None,
    description: str | None = None,
    timeout_s: float | None = None,
    max_concurrent: int | None = None,
) -> Callable[[WorkflowFunction], Workflow]:
    """Make `async def f(ctx, input: Model)` a workflow.

    `input` may be annotated with anything pydantic can validate: it is what callers are told and checked against.
    Without a `version`, the function's source is hashed, so that a changed workflow is never mistaken for the one
    that an older worker runs. A run that is not done `timeout_s` after its first start, waits included, fails with
    the code `timeout`, also when its worker died meanwhile. At most `max_concurrent` runs are at work at once, over
    all workers: others stay queued, and those that wait for a person or an hour don't count.
    """

    _check_limits(name, timeout_s, max_concurrent)

    def declare(function: WorkflowFunction) -> Workflow:
        # Imported late: the executor needs the context, which needs this module's Workflow for child runs.
        from holdfast.orchestrator.executors.plain import PlainExecutor

        adapter = _input_adapter(function, name)
        return Workflow(
            name=name,
            version=version or source_version(function),
            executor=PlainExecutor(function, adapter),
            input_schema=adapter.json_schema(),
            description=description or inspect.getdoc(function),
            timeout_s=timeout_s,
            max_concurrent=max_concurrent,
        )

    return declare


def _check_limits(name: str, timeout_s: float | None, max_concurrent: int | None) -> None:
    if timeout_s is not None and timeout_s <= 0:
        raise WorkflowError(f"workflow {name!r}: timeout_s is above zero")
    if max_concurrent is not None and max_concurrent < 1:
        raise WorkflowError(f"workflow {name!r}: max_concurrent is 1 or more")


def source_version(*things: Any) -> str:
    """Return a short hash of the source of functions and classes."""
    digest = hashlib.sha256()
    for thing in things:
        try:
            source = inspect.getsource(thing)
        except (OSError, TypeError, SyntaxError, tokenize.TokenError):
            # Built elsewhere (a partial, a C function), or its file's lines are others by now, which Python looks at
            # more strictly since 3.12: its name is all that stays the same between processes.
            source = getattr(thing, "__qualname__", type(thing).__qualname__)
        digest.update(source.encode())
    return digest.hexdigest()[:12]


def _input_adapter(function: WorkflowFunction, name: str) -> TypeAdapter[Any]:
    if not inspect.iscoroutinefunction(function):
        raise WorkflowError(f"workflow {name!r} must be an `async def`")
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise WorkflowError(f"workflow {name!r} must take two arguments: (ctx, input)")
    return TypeAdapter(get_type_hints(function).get(parameters[1], dict[str, JsonValue]))
