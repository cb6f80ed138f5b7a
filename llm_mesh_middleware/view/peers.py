"""Several processes behind one view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .values import Report

__all__ = ["Peers"]


class Peers(Protocol):
    """The other workers of the same server."""

    def reports(self, after: Callable[[int], int]) -> Sequence[Report]:
        """Return the report of each worker, without those that are not there in time.

        Args:
            after: gets a worker's id; returns the number of its last call that is known here.
        """
