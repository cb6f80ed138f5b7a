"""Weighted choice among the backends of a rule."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .upstream import Upstream

__all__ = ["Backend", "WeightedBackends"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A weighted pointer to an upstream; `priority` 0 is served first."""

    upstream: Upstream
    weight: int
    priority: int = 0


class WeightedBackends:
    """Backends of one priority, picked in proportion to their weights.

    Weights are proportions, not per cent. A single backend takes everything whatever its weight, as
    in Istio; weight 0 beside others is never picked.
    """

    __slots__ = ("_bounds", "backends")

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.backends = tuple(backends)
        weights = [1] if len(backends) == 1 else [backend.weight for backend in backends]
        self._bounds = tuple(accumulate(weights))
        if not self._bounds or self._bounds[-1] <= 0:
            raise ValueError("the weights of the backends add up to nothing")

    def pick(self, random: Callable[[], float]) -> Backend:
        """One backend; `random` gives numbers in [0, 1)."""
        if len(self.backends) == 1:
            return self.backends[0]
        return self.backends[bisect_right(self._bounds, random() * self._bounds[-1])]
