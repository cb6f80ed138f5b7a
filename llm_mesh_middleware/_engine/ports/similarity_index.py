"""The part of a cache store that finds the entries of similar requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..._core.caching.semantic.similarity import Near, Nearest, Remember

if TYPE_CHECKING:
    from .vectors import Vectors

__all__ = ["SimilarityIndex"]


class SimilarityIndex:
    """Vectors of this process; numpy is imported by the first of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._vectors: Vectors | None = None

    def has(self, partition: str) -> bool:
        """Return whether anything of a partition is still known."""
        return self._vectors is not None and self._vectors.has(partition)

    def ask(self, request: Nearest | Remember) -> Sequence[Near]:
        """Find, or remember."""
        vectors = self._vectors
        if vectors is None:
            from .vectors import Vectors  # takes 0.1 s, and needs numpy

            vectors = self._vectors = Vectors(clock=self._clock)
        if isinstance(request, Nearest):
            return vectors.nearest(request)
        vectors.remember(request)
        return ()
