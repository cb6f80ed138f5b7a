"""Objects of which every event loop has one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary, ref

__all__ = ["per_loop"]

Owned = TypeVar("Owned")


def per_loop(
    make: Callable[[asyncio.AbstractEventLoop], Owned],
) -> Callable[[asyncio.AbstractEventLoop], Owned]:
    """Return a function that returns the object of a loop, made on first use."""
    made: WeakKeyDictionary[asyncio.AbstractEventLoop, Owned] = WeakKeyDictionary()
    last: tuple[ref[asyncio.AbstractEventLoop], Owned] | None = None

    def of(loop: asyncio.AbstractEventLoop) -> Owned:
        nonlocal last
        known = last
        if known is not None and known[0]() is loop:  # the usual case
            return known[1]
        owned = made.get(loop)
        if owned is None:
            owned = made[loop] = make(loop)
        last = ref(loop), owned
        return owned

    return of
