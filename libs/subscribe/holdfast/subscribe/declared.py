"""What modules declare to listen: durable subscriptions, projections, and listeners of the bus."""

import inspect
import traceback
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType

import structlog

from holdfast.events.modules import SUBSCRIBERS_GROUP, load_module, load_plugin, plugin_words
from holdfast.subscribe.bus import Listener
from holdfast.subscribe.projection import Projection
from holdfast.subscribe.subscription import Subscription

log = structlog.get_logger("holdfast.subscribe")


class NameTaken(ValueError):
    """Two declarations have one name: they would share one position, and each get half of the events."""


@dataclass(slots=True)
class Declared:
    """All that some modules declare."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict[str, Subscription])
    projections: dict[str, Projection] = field(default_factory=dict[str, Projection])
    listeners: list[Listener] = field(default_factory=list[Listener])
    broken: dict[str, str] = field(default_factory=dict[str, str])  # module → why

    @property
    def names(self) -> list[str]:
        """The names of what is durable."""
        return sorted([*self.subscriptions, *self.projections])

    def load(self, words: Sequence[str]) -> None:
        """Take in modules and files; one that breaks is logged and noted, the rest serve."""
        self._load(words, load_module)

    def load_plugins(self) -> None:
        """Take in what installed packages declare under `holdfast.subscribers`."""
        self._load(plugin_words(SUBSCRIBERS_GROUP), load_plugin)

    def take(self, found: object) -> int:
        """Take in what a module declares, or one declaration; return how many there were. Raises NameTaken."""
        things = list(_things(found)) if isinstance(found, ModuleType) else [found]
        return sum(self._take(thing) for thing in things)

    def _load(self, words: Iterable[str], load: Callable[[str], object]) -> None:
        for word in words:
            try:
                self.take(load(word))
            except (Exception, SystemExit) as error:
                # Somebody else's module may raise anything while it is imported: a script ends with sys.exit().
                reason = "".join(traceback.format_exception_only(error)).strip()
                log.error("subscriber.broken", module=word, error=reason, exc_info=error)
                self.broken[word] = reason

    def _take(self, thing: object) -> bool:
        if isinstance(thing, type) and issubclass(thing, Projection):
            thing = thing()
        if isinstance(thing, Listener):
            if thing not in self.listeners:
                self.listeners.append(thing)
        elif isinstance(thing, Subscription):
            _check(thing.name, self.subscriptions.get(thing.name, thing) is thing, self.projections)
            self.subscriptions[thing.name] = thing
        elif isinstance(thing, Projection):
            known = self.projections.get(thing.name, thing)
            _check(thing.name, type(known) is type(thing), self.subscriptions)
            self.projections[thing.name] = known
        else:
            return False
        return True


def _check(name: str, same: bool, others: Container[str]) -> None:
    if not same or name in others:
        raise NameTaken(f"two subscriptions are called {name!r}")


def _things(module: ModuleType) -> Iterable[object]:
    for thing in list(vars(module).values()):
        if isinstance(thing, type):
            # A class is declared where it is written: importing one, to build on it, is not using it.
            own = issubclass(thing, Projection) and thing.__module__ == module.__name__
            if own and not inspect.isabstract(thing):
                yield thing
        elif isinstance(thing, Listener | Subscription | Projection):
            yield thing
