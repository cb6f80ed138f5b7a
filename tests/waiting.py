"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]


def until(holds: Callable[[], object], within_s: float = 60) -> None:
    """Wait until a condition holds; fail if it never does."""
    deadline = time.monotonic() + within_s
    while not (is_held := holds()) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert is_held
