"""What a forked child begins anew: it has its parent's locks, but not the threads that hold them.

Whatever may be held, open or under way while a process forks is told of here, and nowhere else.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["ForkLock", "follow_forks"]


class Owner(Protocol):
    """Somebody with something that is one process's own."""

    def _begin_process(self) -> None:
        """In a forked child, before anything else happens: leave to the parent what is its own."""


def follow_forks(owner: Owner) -> None:
    """Have `owner` begin anew in every forked child, for as long as there is anybody to hold it."""
    _owners.add(owner)


class ForkLock:
    """`with lock.of_process:` for a lock that is free in a child, whoever held it in the parent.

    Reentrant, as a signal handler or a finalizer may come in the midst of what it guards. Whoever
    is inside while it forks by itself leaves the lock that it has entered.
    """

    __slots__ = ("__weakref__", "of_process")

    def __init__(self) -> None:
        self.of_process = threading.RLock()
        follow_forks(self)

    def _begin_process(self) -> None:
        self.of_process = threading.RLock()


_owners: WeakSet[Owner] = WeakSet()


def _forked() -> None:
    for owner in list(_owners):
        owner._begin_process()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
