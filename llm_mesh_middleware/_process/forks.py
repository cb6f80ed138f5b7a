"""State that a forked child resets: it has its parent's locks, but not the threads that hold them.

Everything that may be held, open or running during a fork is registered here.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["ForkLock", "follow_forks"]


class Owner(Protocol):
    """An object with per-process state."""

    def _begin_process(self) -> None:
        """Reset per-process state, in a forked child before anything else runs."""


def follow_forks(owner: Owner) -> None:
    """Reset `owner` in every forked child, for as long as it is referenced."""
    _owners.add(owner)


class ForkLock:
    """A lock that is free in a child, even if it was held in the parent: `with lock.of_process:`.

    Reentrant, because a signal handler or a finalizer may interrupt guarded code. A holder that
    forks itself releases the lock that it has entered.
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
