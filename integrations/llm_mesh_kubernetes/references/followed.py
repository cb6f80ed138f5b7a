"""Reflectors of objects that documents name, run for as long as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from ..reflector import Reflector

__all__ = ["Followed"]

Name = TypeVar("Name", bound=tuple[str, ...])


class Followed(Generic[Name]):
    """One reflector for each name; `make` returns a new one."""

    def __init__(self, tasks: asyncio.TaskGroup, make: Callable[[Name], Reflector]) -> None:
        self._tasks = tasks
        self._make = make
        self._kept: dict[Name, tuple[Reflector, asyncio.Task[None]]] = {}

    def follow(self, wanted: Collection[Name]) -> None:
        """Follow the wanted names, and stop following all others."""
        for gone in self._kept.keys() - set(wanted):
            _, task = self._kept.pop(gone)
            task.cancel()
        for name in sorted(set(wanted) - self._kept.keys()):
            reflector = self._make(name)
            self._kept[name] = reflector, self._tasks.create_task(reflector.run())

    def __iter__(self) -> Iterator[tuple[Name, Reflector]]:
        for name, (reflector, _) in self._kept.items():
            yield name, reflector

    def get(self, name: Name) -> Reflector | None:
        """Return the reflector of a name, if it is followed."""
        kept = self._kept.get(name)
        return None if kept is None else kept[0]
