"""Objects whose modules are imported when they are first used.

    later(package, module, name) ──> stands for the object
            │ an attribute is asked for            `load`, when a configuration needs it
            v                                        │
    the module is imported <─────────────────────────┘
            v
    the attribute is kept: from now on it costs what any attribute costs

Most processes need one dialect of all that the mesh speaks, and no translation. An import of
the others would take a tenth of their start. The objects must be stateless.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["later", "load"]


def later(package: str, module: str, name: str, /, **known: object) -> Any:
    """Return what stands for the object `name` of a module.

    Args:
        package: the package that the name of the module is relative to.
        module: its name, such as `.dialect`.
        name: the name of the object in it.
        known: attributes of the object that are there without an import.
    """
    return _Later(package, module, name, known)


def load(*objects: object) -> None:
    """Import the modules of objects, so that a request need not wait for them."""
    for each in objects:
        if isinstance(each, _Later):
            each.load()


class _Later:
    """Stands for an object of a module that may not be imported yet."""

    def __init__(self, package: str, module: str, name: str, known: dict[str, object]) -> None:
        self._place = package, module, name
        self.__dict__.update(known)

    def load(self) -> object:
        package, module, name = self._place
        return getattr(import_module(module, package), name)

    def __getattr__(self, attribute: str) -> Any:
        """Find an attribute that was never asked for; `__dict__` has the others."""
        if attribute.startswith("__"):  # asked for by `copy`, `pickle` and the like
            raise AttributeError(attribute)
        value = self.__dict__[attribute] = getattr(self.load(), attribute)
        return value

    def __repr__(self) -> str:
        return repr(self.load())
