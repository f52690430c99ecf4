"""An application's own code: modules by name, files by path, and what installed packages declare as entry points."""

import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from holdfast.events.errors import HoldfastError

# What the names of modules made from files begin with. There is no such package, and none is needed.
FILES_PACKAGE = "holdfast_app"

# What an installed package may bring, in the groups of its `[project.entry-points]`: a module, or one thing in it.
WORKFLOWS_GROUP = "holdfast.workflows"
SUBSCRIBERS_GROUP = "holdfast.subscribers"


class NoSuchFile(HoldfastError):
    """There is no file at this path."""


def load_module(word: str) -> ModuleType:
    """Import a module by its name, or a file by its path, which ends in `.py`. May raise whatever its code raises."""
    return _load_file(Path(word)) if word.endswith(".py") else importlib.import_module(word)


def plugin_words(group: str) -> list[str]:
    """Return what installed packages declare in a group, as `module` or `module:name`, in an order that lasts."""
    return sorted({point.value for point in entry_points(group=group)})


def load_plugin(word: str) -> object:
    """Return the module, or the one thing in it, that an entry point names. May raise whatever its code raises."""
    module, _, name = word.partition(":")
    found: object = importlib.import_module(module.strip())
    for part in filter(None, name.strip().split(".")):
        found = getattr(found, part)
    return found


def _load_file(path: Path) -> ModuleType:
    """Import a file that is in no package, as a module under a name that no other module has.

    A file called `queue.py` must not take the place of the standard library's.
    """
    name = f"{FILES_PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise NoSuchFile(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    # Registered first, as an import does: pydantic looks up a model's module by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
