"""Several processes behind one view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .values import Report

__all__ = ["Peers"]


class Peers(Protocol):
    """The other workers of the same server."""

    def reports(self, after: Callable[[int], int]) -> Sequence[Report]:
        """Return what each of them reports; one that does not answer soon is left out.

        Args:
            after: given a worker, returns the number of its last call that is known.
        """
